"""The emergency stop, for real: addresses, control groups and file systems of namespaces that each test makes."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import pytest

from servha.wire.guard_talk import Belonging
from tests.live.wait import eventually
from tests.machines.cgroups import hierarchies

pytestmark = [pytest.mark.root, pytest.mark.timeout(60)]

CHECKOUT = Path(__file__).parent.parent.parent
SWEEP = """
import json, sys
sys.path.insert(0, sys.argv[1])
from servha.guard.emergency import sweep
from servha.wire.guard_talk import belonging_of
for line in sys.stdin:
    print(json.dumps(sweep(tuple(belonging_of(b) for b in json.loads(line)))), flush=True)
"""


@dataclass
class Room:
    """A network and a mount namespace, kept by a process, with another in it that sweeps when it is told to."""

    folder: Path
    programs: list[subprocess.Popen[bytes]] = field(default_factory=list)
    keeper: int = 0
    sweeper: subprocess.Popen[str] | None = None
    groups: list[Path] = field(default_factory=list)

    def open(self) -> None:
        keeper = subprocess.Popen(
            [
                "unshare",
                "--mount",
                "--net",
                "--propagation",
                "private",
                "sh",
                "-c",
                "echo in; exec sleep infinity",
            ],
            stdout=subprocess.PIPE,
        )
        assert keeper.stdout is not None
        assert keeper.stdout.readline() == b"in\n"
        keeper.stdout.close()
        self.programs.append(keeper)
        self.keeper = keeper.pid
        self.sweeper = subprocess.Popen(
            self.inside(sys.executable, "-c", SWEEP, str(CHECKOUT)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        if self.sweeper is not None:
            self.sweeper.communicate(timeout=10)
        for program in self.programs:
            program.kill()
            program.wait()
        for group in reversed(self.groups):
            kill_at = group / "cgroup.kill"
            if kill_at.exists():
                kill_at.write_text("1")
            assert eventually(partial(is_empty, group))
            if group.exists():
                group.rmdir()

    def inside(self, *argv: str) -> list[str]:
        return ["nsenter", f"--target={self.keeper}", "--mount", "--net", "--", *argv]

    def run(self, *argv: str) -> str:
        done = subprocess.run(self.inside(*argv), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, script: str) -> subprocess.Popen[bytes]:
        """Run a script that says when it is ready, inside."""
        program = subprocess.Popen(self.inside("sh", "-c", script), stdout=subprocess.PIPE)
        self.programs.append(program)
        assert program.stdout is not None
        assert program.stdout.readline() == b"ready\n"
        program.stdout.close()
        return program

    def group(self, name: str) -> Path:
        base = next(h for h in hierarchies() if (h / "cgroup.controllers").exists())
        made = base / f"servha-emergency-{self.keeper}-{name}"
        made.mkdir()
        self.groups.append(made)
        return made

    def file_system(self, where: Path) -> None:
        """An ext4 of its own on a loop device that goes with it, mounted inside only."""
        image = self.folder / f"{len(list(self.folder.glob('*.img')))}.img"
        subprocess.run(["truncate", "-s", "16M", image], check=True)
        subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
        self.run("mkdir", "-p", str(where))
        self.run("mount", "-o", "loop", str(image), str(where))

    def sweep(self, *belongings: Belonging) -> bool:
        assert self.sweeper is not None
        assert self.sweeper.stdin is not None
        assert self.sweeper.stdout is not None
        self.sweeper.stdin.write(json.dumps([asdict(b) for b in belongings]) + "\n")
        self.sweeper.stdin.flush()
        return bool(json.loads(self.sweeper.stdout.readline()))

    def sweep_all(self, *belongings: Belonging, within_s: float = 5.0) -> float:
        """Sweep as the emergency's thread does, until nothing is left; return how long that took."""
        began_s = time.monotonic()
        while not self.sweep(*belongings):
            assert time.monotonic() < began_s + within_s, "something stays"
            time.sleep(0.005)
        return time.monotonic() - began_s

    def addresses(self) -> list[str]:
        shown = json.loads(self.run("ip", "-j", "-4", "addr"))
        return [f"{i['ifname']} {a['local']}/{a['prefixlen']}" for i in shown for a in i["addr_info"]]

    def mounts(self, where: Path) -> int:
        """How often something is mounted there."""
        escaped = str(where).replace("\\", "\\134").replace(" ", "\\040")
        return sum(
            line.split()[4] == escaped for line in self.run("cat", "/proc/self/mountinfo").splitlines()
        )


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path)
    try:
        made.open()
        yield made
    finally:
        made.close()


def is_empty(group: Path) -> bool:
    return not group.exists() or not (group / "cgroup.procs").read_text()


def loop_devices() -> str:
    return subprocess.run(
        ["losetup", "--list", "--noheadings"], capture_output=True, text=True, check=True
    ).stdout


def test_nothing_is_left_where_nothing_was(room: Room) -> None:
    assert room.sweep()
    assert room.sweep(Belonging(1, (("absent0", "192.0.2.1/24"),), ("/sys/fs/cgroup/absent",), ("/absent",)))


def test_an_address_goes_and_only_that(room: Room) -> None:
    room.run("ip", "link", "add", "pub0", "type", "bridge")
    room.run("ip", "link", "add", "priv0", "type", "bridge")
    room.run("ip", "link", "set", "pub0", "up")
    for address in ("192.0.2.1/24", "192.0.2.100/24", "192.0.2.101/24"):
        room.run("ip", "addr", "add", address, "dev", "pub0")
    room.run("ip", "addr", "add", "192.0.2.100/32", "dev", "priv0")
    took_s = room.sweep_all(Belonging(1, (("pub0", "192.0.2.100/24"),)))
    print(f"{took_s * 1000:.1f} ms")
    assert room.addresses() == ["pub0 192.0.2.1/24", "pub0 192.0.2.101/24", "priv0 192.0.2.100/32"]


def test_an_address_with_any_prefix_length_and_more_than_once_goes(room: Room) -> None:
    room.run("ip", "link", "add", "pub0", "type", "bridge")
    for length in (16, 24, 32):
        room.run("ip", "addr", "add", f"192.0.2.100/{length}", "dev", "pub0")
    room.sweep_all(Belonging(1, (("pub0", "192.0.2.100/24"),)))
    assert room.addresses() == []


def test_an_address_on_an_interface_that_is_down_goes(room: Room) -> None:
    room.run("ip", "link", "add", "pub0", "type", "bridge")
    room.run("ip", "addr", "add", "192.0.2.100/24", "dev", "pub0")
    room.sweep_all(Belonging(1, (("pub0", "192.0.2.100/24"),)))
    assert room.addresses() == []


def test_what_was_there_a_moment_ago_is_not_yet_gone(room: Room) -> None:
    """One sweep that removes something is followed by another that finds nothing."""
    room.run("ip", "link", "add", "pub0", "type", "bridge")
    room.run("ip", "addr", "add", "192.0.2.100/24", "dev", "pub0")
    tree = Belonging(1, (("pub0", "192.0.2.100/24"),))
    assert not room.sweep(tree)
    assert room.sweep(tree)


DEAF = "trap '' TERM HUP INT; echo 0 > {group}/cgroup.procs; {more} echo ready; while :; do sleep 1; done"


def test_every_process_of_a_group_is_killed_deaf_stopped_frozen_and_below(room: Room) -> None:
    group = room.group("web")
    (group / "below").mkdir()
    room.groups.append(group / "below")
    deaf = room.start(DEAF.format(group=group, more=""))
    below = room.start(DEAF.format(group=group / "below", more="sleep 1000 &"))
    stopped = room.start(DEAF.format(group=group, more=""))
    stopped.send_signal(19)
    outside = room.start("echo ready; exec sleep 1000")
    (group / "cgroup.freeze").write_text("1")
    assert eventually(lambda: "frozen 1" in (group / "cgroup.events").read_text())
    took_s = room.sweep_all(Belonging(1, scopes=(str(group),)))
    print(f"{took_s * 1000:.1f} ms")
    for program in (deaf, below, stopped):
        assert program.wait(timeout=5) == -9
    assert outside.poll() is None
    assert not (group / "below" / "cgroup.procs").read_text()


def test_a_program_that_forks_without_end_is_killed(room: Room) -> None:
    group = room.group("forks")
    room.start(DEAF.format(group=group, more="(while :; do (sleep 0.2 &) ; done) &"))
    room.sweep_all(Belonging(1, scopes=(str(group),)))
    assert "populated 0" in (group / "cgroup.events").read_text()


def test_a_group_that_cannot_be_looked_into_counts_as_populated(room: Room, tmp_path: Path) -> None:
    (tmp_path / "group").mkdir()
    assert not room.sweep(Belonging(1, scopes=(str(tmp_path / "group"),)))


@pytest.mark.parametrize("name", ["data", "the data", "a\\b"])
def test_a_file_system_in_use_by_the_tree_is_let_go_once_its_processes_are_dead(
    room: Room, name: str
) -> None:
    where, group = room.folder / name, room.group("web")
    room.file_system(where)
    script = DEAF.format(group=group, more=f"exec 3>'{where}/open'; cd '{where}'; echo x >&3;")
    user = room.start(script)
    tree = Belonging(1, scopes=(str(group),), mounts=(str(where),))
    assert not room.sweep(Belonging(1, mounts=(str(where),))), "it is in use"
    assert room.mounts(where) == 1
    took_s = room.sweep_all(tree)
    print(f"{took_s * 1000:.1f} ms")
    assert user.wait(timeout=5) == -9
    assert room.mounts(where) == 0
    assert eventually(lambda: str(room.folder) not in loop_devices()), "not merely detached: unmounted"


def test_a_file_system_in_use_by_others_stays_and_is_never_detached(room: Room) -> None:
    where = room.folder / "data"
    room.file_system(where)
    outsider = room.start(f"cd {where}; echo ready; exec sleep 1000")
    tree = Belonging(1, mounts=(str(where),))
    for _ in range(20):
        assert not room.sweep(tree)
    assert room.mounts(where) == 1
    assert str(room.folder) in loop_devices()
    outsider.kill()
    outsider.wait()
    room.sweep_all(tree)
    assert room.mounts(where) == 0


def test_a_file_system_mounted_over_itself_is_gone_only_when_every_layer_is(room: Room) -> None:
    where = room.folder / "data"
    for _ in range(3):
        room.file_system(where)
    assert room.mounts(where) == 3
    room.sweep_all(Belonging(1, mounts=(str(where),)))
    assert room.mounts(where) == 0


@pytest.mark.parametrize("turned", [False, True])
def test_one_file_system_below_another_goes_in_either_order(room: Room, turned: bool) -> None:  # noqa: FBT001
    where = room.folder / "data"
    room.file_system(where)
    room.file_system(where / "below")
    mounts = (str(where), str(where / "below"))
    room.sweep_all(Belonging(1, mounts=mounts[::-1] if turned else mounts))
    assert room.mounts(where) == room.mounts(where / "below") == 0


def test_one_that_stays_keeps_nothing_else_from_going(room: Room) -> None:
    busy, idle, group = room.folder / "busy", room.folder / "idle", room.group("web")
    room.file_system(busy)
    room.file_system(idle)
    room.run("ip", "link", "add", "pub0", "type", "bridge")
    room.run("ip", "addr", "add", "192.0.2.100/24", "dev", "pub0")
    room.start(f"cd {busy}; echo ready; exec sleep 1000")
    user = room.start(DEAF.format(group=group, more=f"cd {idle};"))
    trees = (
        Belonging(1, (("pub0", "no address"),), (), (str(busy),)),
        Belonging(2, (("pub0", "192.0.2.100/24"),), (str(group),), (str(idle),)),
    )
    assert eventually(lambda: not room.sweep(*trees) and room.mounts(idle) == 0)
    assert user.wait(timeout=5) == -9
    assert room.addresses() == []
    assert room.mounts(busy) == 1


THREAD = textwrap.dedent("""
    import json, os, select, sys, time
    sys.path.insert(0, sys.argv[1])
    from servha.guard.emergency import Emergency
    from servha.wire.guard_talk import Belonging
    wake = os.eventfd(0)
    emergency = Emergency(wake)
    busy, idle = Belonging(1, mounts=(sys.argv[2],)), Belonging(2, mounts=(sys.argv[3],))
    first = emergency.order((busy,))
    assert not select.select([wake], [], [], 0.5)[0], "done though it is mounted"
    second = emergency.order((idle,))
    assert select.select([wake], [], [], 5)[0], "the later order did not replace the one that cannot end"
    assert (first, emergency.done) == (1, 2), emergency.done
    assert second == 2
    print("well")
""")


def test_a_later_order_replaces_one_that_cannot_end(room: Room) -> None:
    busy, idle = room.folder / "busy", room.folder / "idle"
    room.file_system(busy)
    room.file_system(idle)
    room.start(f"cd {busy}; echo ready; exec sleep 1000")
    assert room.run(sys.executable, "-c", THREAD, str(CHECKOUT), str(busy), str(idle)) == "well\n"
    assert (room.mounts(busy), room.mounts(idle)) == (1, 0)
