"""What a node keeps over its own restarts, and what it must not keep over a reboot."""

from __future__ import annotations

from pathlib import Path

import pytest

from servha.core.model import Goal, Order, Phase
from servha.daemon.memory import Doing, Owned, OwnershipFile, PhasesFile

WEB = Owned(7, Order(3, Goal.STOP, "node2"))


def test_numbers_and_orders_survive_a_restart(tmp_path: Path) -> None:
    OwnershipFile(tmp_path / "ownership.json").keep("web", WEB)
    assert OwnershipFile(tmp_path / "ownership.json").load() == {"web": WEB}


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"web": {}}', '{"web": {"ownership": "x"}}', "\x00" * 64]
)
def test_a_damaged_file_counts_as_empty_and_is_written_anew(tmp_path: Path, content: str) -> None:
    path = tmp_path / "ownership.json"
    path.write_text(content)
    kept = OwnershipFile(path)
    assert kept.load() == {}
    kept.keep("web", WEB)
    assert OwnershipFile(path).load() == {"web": WEB}


def test_the_word_that_the_peer_is_off_outlives_a_restart_and_no_reboot(tmp_path: Path) -> None:
    """In between boots somebody may have switched the peer on; the stable file never holds that word."""
    path = tmp_path / "phases.json"
    forced = Doing(Phase.STARTING, 7, forced=True)
    PhasesFile(path, boot_id="one").keep({"web": forced})
    assert PhasesFile(path, boot_id="one").load() == {"web": forced}
    assert PhasesFile(path, boot_id="two").load() == {}
    OwnershipFile(tmp_path / "ownership.json").keep("web", Owned(7, Order(3, pin="node2", forced=True)))
    assert not OwnershipFile(tmp_path / "ownership.json").load()["web"].order.forced


def test_phases_are_adopted_within_one_boot_and_never_after_another(tmp_path: Path) -> None:
    path = tmp_path / "phases.json"
    PhasesFile(path, boot_id="one").keep({"web": Doing(Phase.RUNNING, 7)})
    assert PhasesFile(path, boot_id="one").load() == {"web": Doing(Phase.RUNNING, 7)}
    assert PhasesFile(path, boot_id="two").load() == {}


@pytest.mark.parametrize("content", ["", "{}", '{"boot_id": "one", "trees": {"web": {"phase": "dancing"}}}'])
def test_damaged_phases_count_as_nothing_known(tmp_path: Path, content: str) -> None:
    path = tmp_path / "phases.json"
    path.write_text(content)
    assert PhasesFile(path, boot_id="one").load() == {}
