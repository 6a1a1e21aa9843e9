"""What is told about a configuration that is not wrong."""

from __future__ import annotations

import pytest

from servha.config.notes import disk_notes, notes, takeover_s
from servha.core.model import Policy
from servha.core.timing import PROFILES, Timing


def test_a_takeover_takes_the_longer_of_silence_and_lease_never_their_sum() -> None:
    manual, fast = PROFILES["manual"], PROFILES["fast"]
    assert takeover_s(manual) == pytest.approx(manual.dead_s + 3 * 0.5)
    assert takeover_s(fast) == pytest.approx(fast.limits.take_s + 4 * 0.1)
    assert takeover_s(manual) < manual.dead_s + manual.limits.take_s


@pytest.mark.parametrize("device", ["/dev/disk/by-id/wwn-1", "/dev/mapper/quorum"])
def test_a_lasting_name_that_is_used_needs_no_note(device: str) -> None:
    assert disk_notes(Policy.DISK, device) == []


@pytest.mark.parametrize("device", ["/dev/sdb", "/dev/disk/by-path/pci-1", "/dev/disk/by-id"])
def test_a_name_that_may_be_another_disk_tomorrow_is_noted(device: str) -> None:
    assert "another disk" in str(disk_notes(Policy.BOTH, device)[0])


@pytest.mark.parametrize("policy", [Policy.NONE, Policy.REFERENCE])
def test_a_disk_that_nobody_uses_is_a_hint_and_not_a_mistake(policy: Policy) -> None:
    assert [str(note) for note in notes(policy, "/dev/mapper/q", Timing())] == [
        f"/dev/mapper/q is named as the quorum disk, and policy {policy} does not use it"
    ]


def test_without_a_disk_there_is_nothing_to_note() -> None:
    assert notes(Policy.NONE, "", Timing()) == []
