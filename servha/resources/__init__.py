"""The kinds of resources. A new one is a file of its own, a line here and a file in tests/kinds."""

from servha.resources.custom import Custom
from servha.resources.ipv4 import Ipv4
from servha.resources.ipv6 import Ipv6
from servha.resources.kind import Place, ResourceKind
from servha.resources.ocf import Ocf
from servha.resources.process import Process
from servha.resources.service import Service
from servha.resources.shared_disk import SharedDisk
from servha.resources.virtual_address import VirtualAddress

RESOURCE_KINDS: tuple[type[ResourceKind], ...] = (Ipv4, Ipv6, SharedDisk, Service, Process, Custom, Ocf)

__all__ = [
    "RESOURCE_KINDS",
    "Custom",
    "Ipv4",
    "Ipv6",
    "Ocf",
    "Place",
    "Process",
    "ResourceKind",
    "Service",
    "SharedDisk",
    "VirtualAddress",
]
