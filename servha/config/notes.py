"""What an administrator should know about a configuration that is not wrong: hints, and what its figures come to.

Nothing here refuses anything; what may not be saved is in checks.py.
"""

from __future__ import annotations

from typing import Final

from servha.core.model import Policy
from servha.core.timing import Timing
from servha.core.words import Text, say

LASTING: Final = ("/dev/disk/by-id/", "/dev/mapper/")
"""Where a device has a name that means the same disk after every boot."""

CLAIM_ROUNDS: Final = 3
"""Disk rounds of a takeover: one that announces it, and two that find the peer's slot unchanged."""


def takeover_s(timing: Timing) -> float:
    """Return how long after the end of a node the other one holds its trees at the latest, in seconds.

    Silence and the lease are waited for at the same time, so the longer one counts. The last renewal may be one
    round younger than the last sign of life; then the claim has to be seen unanswered, in rounds of at most
    `round_s` each. Starting the tree comes on top.
    """
    limits = timing.limits
    return max(timing.dead_s, limits.round_s + limits.take_s) + CLAIM_ROUNDS * limits.round_s


def lease_note(timing: Timing) -> Text:
    """Return what the lease's figures come to."""
    limits = timing.limits
    return say(
        "a node stops its trees {keep_s:.2f} s after the last renewal of its lease; the other one takes over at most"
        " {takeover_s:.1f} s after it died",
        keep_s=limits.keep_s(),
        takeover_s=takeover_s(timing),
    )


def disk_notes(policy: Policy, device: str) -> list[Text]:
    """Return what is worth knowing about the quorum disk's name and whether it is used."""
    found = []
    if device and not policy.leased:
        found.append(
            say(
                "{device} is named as the quorum disk, and policy {policy} does not use it",
                device=device,
                policy=str(policy),
            )
        )
    if device and not device.startswith(LASTING):
        found.append(
            say(
                "{device} may be another disk after the next boot; a name below /dev/disk/by-id or /dev/mapper always"
                " means the same one",
                device=device,
            )
        )
    return found


def notes(policy: Policy, device: str, timing: Timing) -> list[Text]:
    """Return everything worth knowing about arbitration under these settings."""
    return [*disk_notes(policy, device), *([lease_note(timing)] if policy.leased else [])]
