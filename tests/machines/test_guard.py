"""servha-guardd under a real systemd: what runs stays, and no watchdog fires by surprise, whatever is restarted."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.machines.conftest import NewRack
from tests.machines.guarded import GUARDD, SERVHAD, Guarded, guarded_machine, run_the_tree
from tests.machines.wait import wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

WITHIN_S = 30.0
GRACE_S = 30.0
"""For so long servhad may be away without a word."""
CAP_SYS_RESOURCE = 24
EVERYTHING = ["address", "file system", "application"]


@pytest.fixture
def node(new_rack: NewRack, tmp_path: Path) -> Iterator[Guarded]:
    """A machine with both daemons enabled and started, as after an installation."""
    machine = new_rack("private").add("node1")
    machine.install_servha()
    with guarded_machine(machine, tmp_path) as made:
        machine.power_on()
        machine.run(["systemctl", "enable", "--now", GUARDD, SERVHAD])
        yield made


@pytest.fixture
def running(node: Guarded) -> Guarded:
    """The machine holds a tree of an address, a file system and an application."""
    run_the_tree(node)
    assert node.left() == EVERYTHING
    assert node.kept == 1, "systemd keeps the watchdog"
    return node


def status_of(node: Guarded, pid: str, *names: str) -> dict[str, str]:
    shown = dict(
        line.split(":\t", 1)
        for line in node.machine.read(f"/proc/{pid}/status").splitlines()
        if ":\t" in line
    )
    return {name: shown[name].strip() for name in names}


def test_the_guard_is_locked_in_memory_scheduled_first_and_confined(node: Guarded) -> None:
    pid = node.guard_pid
    status = status_of(node, pid, "VmLck", "NoNewPrivs", "CapBnd")
    assert status["NoNewPrivs"] == "1"
    assert int(status["CapBnd"], 16).bit_count() < 12
    if node.machine.may(CAP_SYS_RESOURCE):
        assert node.machine.read(f"/proc/{pid}/oom_score_adj").strip() == "-1000"
    journal = node.machine.journal()
    assert int(status["VmLck"].split()[0]) > 0, journal
    policy = node.machine.read(f"/proc/{pid}/stat").rpartition(")")[2].split()[37:39]
    assert policy == ["50", "1"] or "no real-time priority" in journal, "FIFO 50, or a word why not"
    assert node.kept == 0
    assert node.watchdog.left_s is None, "nothing is held: no watchdog"


def test_a_guard_is_replaced_and_the_application_does_not_notice(running: Guarded) -> None:
    life = running.life()
    for way in ("systemctl reload servha-guardd", "kill -KILL {pid}", "kill -TERM {pid}"):
        guard, began_s = running.guard_pid, time.monotonic()
        running.machine.run(shlex.split(way.format(pid=guard)))
        wait_for(
            partial(running.is_replaced, guard),
            within_s=WITHIN_S,
            what=f"another guard is active after {way}",
        )
        print(f"{way}: another guard after {time.monotonic() - began_s:.3f} s")
        running.stays_well(3)
        assert running.kept == 1
        assert running.life() == life
        assert running.left() == EVERYTHING
        wait_for(running.is_leased, within_s=WITHIN_S, what="servhad has met the new guard")
    assert "emergency stop" not in running.machine.journal()


def test_a_guard_is_not_stopped_by_hand(running: Guarded) -> None:
    life, guard = running.life(), running.guard_pid
    for order in ("stop", "restart", "try-restart"):
        done = running.machine.run(["systemctl", order, GUARDD], check=False)
        assert done.returncode != 0
        assert "refused" in done.stderr
    running.stays_well(2)
    assert running.guard_pid == guard
    assert running.life() == life


def test_the_application_outlives_an_upgrade_of_everything(running: Guarded) -> None:
    life = running.life()
    for orders in (
        ["systemctl restart servha.target"],
        ["systemctl restart servhad.service"],
        [
            "systemctl daemon-reload",
            "systemctl reload servha-guardd.service",
            "systemctl restart servha.target",
        ],
        ["systemctl kill --kill-whom=main -s KILL servhad.service servha-guardd.service"],
    ):
        daemon = running.machine.unit(SERVHAD, "MainPID")["MainPID"]
        for order in orders:
            running.machine.run(shlex.split(order))
        wait_for(
            partial(running.servhad_is_replaced, daemon), within_s=WITHIN_S, what="another servhad is active"
        )
        wait_for(running.is_running, within_s=WITHIN_S, what="the tree is adopted")
        running.stays_well(3)
        assert running.life() == life, orders
        assert running.left() == EVERYTHING
    assert "emergency stop" not in running.machine.journal()


def test_a_lease_that_ended_costs_a_moment_and_the_next_is_guarded_as_well(node: Guarded) -> None:
    """The guard stands still for longer than the lease may go without renewal, and for less than its watchdog."""
    run_the_tree(node, profile="fast")
    node.machine.run(["sh", "-c", f"kill -STOP {node.guard_pid}; sleep 0.6; kill -CONT {node.guard_pid}"])
    began_s = time.monotonic()
    wait_for(lambda: node.count("starts") == 2, within_s=4, what="the application is started anew")
    print(f"started anew after {time.monotonic() - began_s:.3f} s")
    wait_for(node.is_running, within_s=WITHIN_S, what="the tree runs")
    assert node.left() == EVERYTHING
    assert node.kept == 1, "armed anew"
    assert node.watchdog.left_s is not None
    journal = node.machine.journal()
    assert "emergency stop" in journal
    assert "no usable watchdog" not in journal
    assert "stop-failed" not in journal


def test_what_runs_goes_on_under_its_lease_when_everything_is_stopped_by_hand(running: Guarded) -> None:
    """servhad says that it goes away for good: the guard stays, for longer than servhad could be away in silence."""
    life, guard = running.life(), running.guard_pid
    running.machine.run(["systemctl", "stop", "servha.target", SERVHAD])
    assert running.machine.unit(SERVHAD, "ActiveState") == {"ActiveState": "inactive"}
    running.stays_well(GRACE_S + 4)
    assert (running.guard_pid, running.kept) == (guard, 1)
    assert running.life() == life
    assert running.left() == EVERYTHING
    running.machine.run(["systemctl", "start", "servha.target"])
    wait_for(running.is_running, within_s=WITHIN_S, what="the tree is adopted")
    assert running.life() == life


def test_a_guard_told_to_end_for_good_first_ends_what_was_left_running(running: Guarded) -> None:
    """Confined as it is: it takes the address away, kills the group and unmounts where the machine has it mounted."""
    running.machine.run(["systemctl", "stop", SERVHAD])
    assert running.left() == EVERYTHING
    running.machine.run(["systemctl", "kill", "--kill-whom=main", "-s", "INT", GUARDD])
    wait_for(
        lambda: running.guard("ActiveState")["ActiveState"] == "inactive", within_s=WITHIN_S, what="it ended"
    )
    assert running.left() == []
    assert running.guard("Result", "ExecMainStatus") == {"Result": "success", "ExecMainStatus": "200"}
    assert running.watchdog.left_s is None, "disarmed"
    running.stays_well(3)
    assert running.guard_pid == "0", "nobody starts it again"


def test_a_guard_told_to_end_while_servhad_is_there_stays(running: Guarded) -> None:
    life, guard = running.life(), running.guard_pid
    running.machine.run(["systemctl", "kill", "--kill-whom=main", "-s", "INT", GUARDD])
    wait_for(
        lambda: "not ended: servhad is here" in running.machine.journal(),
        within_s=WITHIN_S,
        what="it says so",
    )
    running.stays_well(2)
    assert running.guard_pid == guard
    assert running.life() == life


@pytest.mark.parametrize("detached", [False, True])
def test_a_machine_that_is_switched_off_in_order_gives_everything_back(
    running: Guarded,
    detached: bool,  # noqa: FBT001
) -> None:
    assert running.slot().trees[0].entry.holds
    if detached:
        running.machine.run(["systemctl", "stop", SERVHAD])
    began_s = time.monotonic()
    running.machine.shutdown()
    took_s = time.monotonic() - began_s
    print(f"off after {took_s:.1f} s")
    assert not running.watchdog.fired
    assert running.watchdog.left_s is None, "disarmed"
    assert took_s < 15
    slot = running.slot()
    assert slot.flags.shut_down
    assert not any(t.entry.holds for t in slot.trees)
    running.machine.power_on()
    assert running.count("stops") == (0 if detached else 1)
    wait_for(running.is_running, within_s=WITHIN_S, what="the tree is started at the next boot")
    assert running.count("starts") == 2


def test_a_machine_whose_guard_stands_still_loses_its_power_and_comes_back(running: Guarded) -> None:
    began_s = time.monotonic()
    running.machine.run(["kill", "-STOP", running.guard_pid])
    wait_for(lambda: running.watchdog.fired, within_s=10, what="the watchdog fires")
    print(f"reset after {time.monotonic() - began_s:.3f} s")
    wait_for(lambda: not running.machine.is_on, within_s=10, what="the machine is off")


def test_a_file_system_that_stays_in_use_costs_the_machine_where_nothing_else_can_reset_it(
    running: Guarded,
) -> None:
    """This machine's kernel, or its container, lets nobody write to sysrq-trigger: the watchdog remains.

    servhad is away without a word and does not come back, so everything has to stop after its grace; a program that
    is no part of the tree keeps the file system busy.
    """
    running.machine.write("/etc/systemd/system/servhad.service.d/away.conf", "[Service]\nRestart=no\n")
    running.machine.run(["systemctl", "daemon-reload"])
    lease_s = running.slot().limits.lease_s
    outsider = ["systemd-run", "--unit=outsider", "--property=WorkingDirectory=/srv/data", "sleep", "1000"]
    running.machine.run(outsider)
    running.machine.run(["systemctl", "kill", "--kill-whom=main", "-s", "KILL", SERVHAD])
    until_s, stopped_s = time.monotonic() + GRACE_S + 15, 0.0
    while not running.watchdog.fired and time.monotonic() < until_s:
        if not stopped_s and running.left() == ["file system"]:
            stopped_s = time.monotonic()
        time.sleep(0.02)
    took_s = time.monotonic() - stopped_s
    assert running.watchdog.fired
    assert stopped_s, "everything else was ended at once"
    print(f"without power {took_s:.3f} s after its grace was over")
    assert took_s < lease_s
