"""The kinds of detectors. A new one is a file of its own, a line here and a file in tests/kinds."""

from servha.detectors.command import Command
from servha.detectors.detector import DetectorKind, together
from servha.detectors.port import Port
from servha.detectors.process import ProcessRuns
from servha.detectors.url import Url

DETECTOR_KINDS: tuple[type[DetectorKind], ...] = (Port, Url, ProcessRuns, Command)

__all__ = ["DETECTOR_KINDS", "Command", "DetectorKind", "Port", "ProcessRuns", "Url", "together"]
