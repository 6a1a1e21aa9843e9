"""The emergency stop: everything of every tree goes at once, and a node where something stays is reset."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from servha.core.guard_model import View
from servha.core.lease import Asked, Lease
from servha.core.timing import DAEMON_GRACE_S
from servha.lab.disk_trouble import set_trouble
from servha.wire.guard_talk import Belonging
from tests.live.conftest import LabMaker
from tests.live.guarded import LIMITS, TREE, Guarded, Speaker, guard_only, label, now_s, slot_of
from tests.live.wait import eventually

VIP = "192.0.2.100"
SCOPE = "/sys/fs/cgroup/tree-web"
MOUNT = "/run/the data"
MANAGED = Belonging(
    TREE, (("pub0", f"{VIP}/24"), ("absent0", "192.0.2.101/24")), (SCOPE, "/sys/fs/cgroup/none"), (MOUNT,)
)

# Two processes that TERM does not end, one of them in a group below, each with a file on the disk open.
APPLICATION = f"""
trap '' TERM HUP INT
mkdir -p {SCOPE}/below
echo 0 > {SCOPE}/below/cgroup.procs
exec 3> '{MOUNT}/open'
sleep 1000 &
echo 0 > {SCOPE}/cgroup.procs
while :; do echo here >&3; sleep 0.05; done
"""


@dataclass
class Tree:
    """A node that holds a tree, and everything of it."""

    guarded: Guarded
    programs: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def left(self) -> list[str]:
        """What of the tree there is."""
        node = self.guarded.node
        found = []
        if VIP in node.run("ip", "-4", "addr", "show", "dev", "pub0").stdout:
            found.append("address")
        if "populated 1" in node.run("cat", f"{SCOPE}/cgroup.events", check=False).stdout:
            found.append("processes")
        if MOUNT.replace(" ", "\\040") in node.run("cat", "/proc/self/mountinfo").stdout:
            found.append("file system")
        return found

    def start(self) -> None:
        node = self.guarded.node
        # With another prefix length than servhad said, as somebody may have changed it by hand.
        node.run("ip", "addr", "add", f"{VIP}/32", "dev", "pub0")
        node.run("mkdir", MOUNT)
        node.run("mount", "/dev/servha/data", MOUNT)
        self.programs.append(node.popen("sh", "-c", APPLICATION))
        assert eventually(lambda: self.left == ["address", "processes", "file system"])

    def trouble(self, words: str) -> None:
        set_trouble(words, self.guarded.node.root / "run/quorum-disk-trouble")


@pytest.fixture
def tree(make_lab: LabMaker) -> Iterator[Tree]:
    lab = make_lab(guard_only())
    label(lab)
    speaker = Speaker.start(lab, lab.node1)
    speaker.introduce(MANAGED)
    made = Tree(Guarded(lab, lab.node1, speaker))
    speaker.hold()
    made.start()
    yield made
    print(made.guarded.log(), made.guarded.console())
    speaker.end()
    for program in made.programs:
        program.kill()
        program.wait()


def given_back(tree: Tree) -> bool:
    """Whether the disk says that the node holds the tree no more."""
    slot = slot_of(tree.guarded.lab, 0)
    return slot is not None and not slot.tree(TREE).entry.holds


def ending(view: View) -> bool:
    return view.lease is Lease.ENDING


def free(view: View) -> bool:
    return view.lease is Lease.FREE


def test_a_lease_that_ends_takes_everything_away_and_the_node_lives(tree: Tree) -> None:
    boot, at_s = tree.guarded.boot, now_s()
    tree.trouble("error")
    ended_s = tree.guarded.speaker.await_view(ending, "ending")
    assert ended_s - at_s < LIMITS.keep_s() + 0.5
    stopped_s = tree.guarded.speaker.await_view(free, "free")
    assert stopped_s - at_s < LIMITS.lease_s - LIMITS.watchdog_s, "before the node would have been reset"
    print(
        f"lease ended {ended_s - at_s:.3f} s after the disk, everything stopped {stopped_s - ended_s:.3f} s later"
    )
    assert tree.left == []
    assert not eventually(lambda: tree.guarded.boot != boot, within_s=2 * LIMITS.watchdog_s), (
        "it was disarmed"
    )
    tree.guarded.speaker.ask(Asked.OFF)
    tree.trouble("")
    assert eventually(lambda: given_back(tree))


def test_a_file_system_that_stays_in_use_costs_the_node_before_the_peer_may_take_over(tree: Tree) -> None:
    outsider = tree.guarded.node.popen("sh", "-c", f"cd '{MOUNT}'; exec sleep 1000")
    tree.programs.append(outsider)
    boot, at_s = tree.guarded.boot, now_s()
    tree.trouble("error")
    # The order to reset comes at about the moment at which the watchdog fires that is no longer fed.
    assert eventually(lambda: re.search("sysrq|not fed", tree.guarded.console()), within_s=LIMITS.lease_s)
    took_s = now_s() - at_s
    print(f"reset {took_s:.3f} s after the disk; the lease is {LIMITS.lease_s} s")
    assert took_s < LIMITS.lease_s
    assert eventually(lambda: tree.guarded.boot not in ("", boot), within_s=10)


def test_a_servhad_that_does_not_notice_the_end_is_killed_before_anything_counts_as_stopped(
    tree: Tree,
) -> None:
    tree.guarded.speaker.say("blind")
    tree.trouble("error")
    assert eventually(lambda: tree.guarded.speaker.process.poll() is not None, within_s=LIMITS.lease_s)
    tree.guarded.await_log("servhad does not answer and is killed")
    tree.guarded.await_log("everything is stopped")
    assert tree.left == []
    assert "sysrq" not in tree.guarded.console()


def test_a_guard_killed_in_the_middle_of_the_stop_is_followed_by_one_that_finishes_it(tree: Tree) -> None:
    outsider = tree.guarded.node.popen("sh", "-c", f"cd '{MOUNT}'; exec sleep 1000")
    tree.programs.append(outsider)
    tree.trouble("error")
    tree.guarded.speaker.await_view(ending, "ending")
    tree.guarded.node.run(
        "kill", "-KILL", str(tree.guarded.node.service("status", "servha-guardd")["servha-guardd"]["pid"])
    )
    tree.guarded.await_log("going on from there")
    assert eventually(lambda: re.search("sysrq|not fed", tree.guarded.console()), within_s=LIMITS.lease_s)


def test_servhad_may_be_away_for_its_grace_and_no_longer(tree: Tree) -> None:
    boot = tree.guarded.boot
    tree.guarded.speaker.end()
    at_s = now_s()
    assert not eventually(lambda: "emergency stop" in tree.guarded.log(), within_s=DAEMON_GRACE_S - 2)
    assert tree.left == ["address", "processes", "file system"]
    tree.guarded.await_log("emergency stop", within_s=4)
    print(f"emergency stop {now_s() - at_s:.1f} s after the end of servhad")
    tree.guarded.await_log("everything is stopped")
    assert tree.left == []
    assert eventually(lambda: given_back(tree))
    assert tree.guarded.boot == boot
