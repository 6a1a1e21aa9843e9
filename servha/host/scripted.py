"""`ScriptedHost`: a machine that exists only in a test. It answers from what the test wrote into it.

Everything asked is kept in `calls`. What was not scripted answers as an empty, healthy machine would.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from servha.core.words import Text
from servha.host.netlink import Subscription
from servha.host.port import (
    AddressChange,
    Change,
    Completed,
    Desktop,
    Duplicates,
    Ended,
    HostError,
    LinkGone,
    LinkState,
    Listener,
    Process,
)
from servha.host.scripted_disks import ScriptedDisks

Answer = Completed | HostError | Callable[[], Completed]


class ScriptedHost:
    """`programs` maps an argument list's first word to its answers, the last of which is repeated."""

    def __init__(
        self, *, node: str = "node1", programs: Mapping[str, Sequence[Answer]] | None = None
    ) -> None:
        self.node = node
        self.disks = ScriptedDisks()
        self.calls: list[tuple[str, ...]] = []
        self.environments: list[dict[str, str]] = []
        self.programs: dict[str, list[Answer]] = {name: list(a) for name, a in (programs or {}).items()}
        self.links: dict[str, LinkState] = {}
        self.on_nic: dict[str, list[str]] = {}
        self.duplicates: dict[str, Duplicates] = {}
        """IPv6 address with prefix length -> what the kernel says of others who have it."""
        self.held_by: dict[str, str] = {}
        """Address -> MAC that answers for it on the wire."""
        self.pongs: dict[str, float] = {}
        self.living: dict[Path, tuple[int, ...]] = {}
        """Control group -> processes in it; use `die` to empty one."""
        self.script_problems: dict[str, Text] = {}
        self.desktops: tuple[Desktop, ...] = ()
        self.ends: tuple[Ended, ...] = ()
        self.unkillable: set[Path] = set()
        self.deaf: set[Path] = set()
        """Control groups whose processes do not listen to signals."""
        self.listening: tuple[Listener, ...] = ()
        self.running: tuple[Process, ...] = ()
        self.owned: dict[int, Process] = {}
        self.now_s = 1000.0
        self.broken: HostError | None = None
        """When set, every network question fails with it."""
        self._emptied: dict[Path, asyncio.Event] = {}
        self._told: dict[Path, list[Callable[[], None]]] = {}
        self._subscribers: list[Subscription] = []

    def with_nic(self, nic: str, *, up: bool = True, carrier: bool = True) -> ScriptedHost:
        """Give the machine an interface."""
        self.links[nic] = LinkState(nic, len(self.links) + 1, "02:00:00:00:00:01", up, carrier)
        return self

    def tell(self, change: Change) -> None:
        """Let something happen on the network, and let subscribers know."""
        match change:
            case AddressChange(nic, address, present):
                there = self.on_nic.setdefault(nic, [])
                if present and address not in there:
                    there.append(address)
                elif not present and address in there:
                    there.remove(address)
            case LinkState(nic):
                self.links[nic] = change
            case LinkGone(nic):
                self.links.pop(nic, None)
                self.on_nic.pop(nic, None)
            case _:
                pass
        for subscriber in self._subscribers:
            subscriber.put(change)

    def die(self, cgroup: Path) -> None:
        """Let every process of the group end."""
        self.living[cgroup] = ()
        self._emptied.setdefault(cgroup, asyncio.Event()).set()

    def lose(self, cgroup: Path, pid: int) -> None:
        """Let one process of the group end while others live on."""
        self.living[cgroup] = tuple(one for one in self.living[cgroup] if one != pid)
        for told in self._told.get(cgroup, ()):
            told()

    def live(self, cgroup: Path, *pids: int) -> None:
        """Let processes live in the group."""
        self.living[cgroup] = pids
        self._emptied[cgroup] = asyncio.Event()

    # what Host promises

    async def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        env: Mapping[str, str] | None = None,
        cgroup: Path | None = None,
        cwd: str = "/",
        user: str = "",
        output: Path | None = None,
    ) -> Completed:
        """Answer as scripted for the program; success if nothing was."""
        del timeout_s, cgroup, cwd, user, output
        self.calls.append(("run", *argv))
        self.environments.append(dict(env or {}))
        await asyncio.sleep(0)
        answers = self.programs.get(argv[0], [])
        answer: Answer = Completed(0)
        if answers:
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, HostError):
            raise answer
        return answer if isinstance(answer, Completed) else answer()

    async def script_problem(self, path: str) -> Text | None:
        """What the test wrote about the script; by default nothing is wrong with it."""
        return self.script_problems.get(path)

    async def desktop(self, user: str = "") -> Desktop | None:
        """The first that the test wrote down, or the first of the user."""
        return next((one for one in self.desktops if user in {"", one.user}), None)

    def cgroup_of(self, tree: str, resource: str) -> Path:
        """A path that names the two; nothing is made."""
        return Path("/cgroup") / tree / resource

    def output_of(self, tree: str, resource: str) -> Path:
        """A path that names the two; nothing is made."""
        return Path("/output") / f"{tree}.{resource}"

    def populated(self, cgroup: Path) -> bool:
        """Whether the test let something live there."""
        return bool(self.living.get(cgroup))

    def cgroup_pids(self, cgroup: Path) -> tuple[int, ...]:
        """What the test let live there, and below."""
        return tuple(
            pid for path, pids in self.living.items() if cgroup in (path, *path.parents) for pid in pids
        )

    async def emptied(self, cgroup: Path, *, told: Callable[[], None] | None = None) -> tuple[Ended, ...]:
        """Return when the test lets it die, as it says in `ends`."""
        if told is not None:
            self._told.setdefault(cgroup, []).append(told)
        if self.populated(cgroup):
            await self._emptied[cgroup].wait()
        return self.ends

    async def kill_cgroup(self, cgroup: Path, *, timeout_s: float) -> bool:
        """Kill at once, unless the test made it unkillable."""
        del timeout_s
        self.calls.append(("kill_cgroup", str(cgroup)))
        await asyncio.sleep(0)
        if cgroup in self.unkillable:
            return False
        self.die(cgroup)
        return True

    def signal_group(self, cgroup: Path, number: int) -> int:
        """Let it die of the signal, unless the test made it deaf."""
        self.calls.append(("signal_group", str(cgroup), str(number)))
        count = len(self.cgroup_pids(cgroup))
        if cgroup not in self.deaf:
            self.die(cgroup)
        return count

    def group_at(self, path: str) -> Path:
        """A path that names it; nothing is made."""
        return Path(f"/cgroup{path}")

    async def exited(self, pid: int) -> None:
        """Return at once: no process of a scripted machine is watched."""
        del pid

    async def link(self, nic: str) -> LinkState | None:
        """The interface the test gave it."""
        await self._asked("link", nic)
        return self.links.get(nic)

    async def addresses(self, nic: str) -> tuple[str, ...]:
        """What stands on the interface."""
        await self._asked("addresses", nic)
        return tuple(address for address in self.on_nic.get(nic, ()) if ":" not in address)

    async def addresses6(self, nic: str) -> Mapping[str, Duplicates]:
        """What stands on the interface, and what the test says about duplicates."""
        await self._asked("addresses6", nic)
        there = [address for address in self.on_nic.get(nic, ()) if ":" in address]
        return {address: self.duplicates.get(address, Duplicates.NONE) for address in there}

    async def add_address(self, nic: str, address: str, *, known_free: bool = False) -> None:
        """Put it there, and say so on the network."""
        del known_free
        await self._asked("add_address", nic, address)
        self.tell(AddressChange(nic, address, present=True))

    async def delete_address(self, nic: str, address: str) -> None:
        """Take it away, and say so on the network."""
        await self._asked("delete_address", nic, address)
        self.tell(AddressChange(nic, address, present=False))

    @contextlib.contextmanager
    def network_changes(self) -> Iterator[Subscription]:
        """Subscribe to what the test tells."""
        mine = Subscription()
        self._subscribers.append(mine)
        try:
            yield mine
        finally:
            self._subscribers.remove(mine)

    async def who_has(self, nic: str, address: str, *, wait_s: float = 0.05) -> str | None:
        """The MAC that the test let answer."""
        del wait_s
        await self._asked("who_has", nic, address)
        return self.held_by.get(address)

    def announce(self, nic: str, address: str) -> None:
        """Keep note."""
        self.calls.append(("announce", nic, address))

    async def ping(self, address: str, *, nic: str = "", timeout_s: float) -> float | None:
        """The round trip that the test gave the address."""
        del timeout_s
        self.calls.append(("ping", address, nic))
        await asyncio.sleep(0)
        return self.pongs.get(address)

    async def listeners(self, protocol: str) -> tuple[Listener, ...]:
        """The listeners that the test wrote down."""
        await self._asked("listeners", protocol)
        return tuple(listener for listener in self.listening if listener.protocol == protocol)

    async def owners(self, inodes: frozenset[int]) -> tuple[Process, ...]:
        """The owners that the test wrote down."""
        await self._asked("owners")
        return tuple(self.owned[inode] for inode in inodes if inode in self.owned)

    async def processes(self) -> tuple[Process, ...]:
        """The processes that the test wrote down."""
        await self._asked("processes")
        return self.running

    async def _asked(self, *call: str) -> None:
        self.calls.append(call)
        await asyncio.sleep(0)
        if self.broken is not None:
            raise self.broken

    def boottime_s(self) -> float:
        """The test's time."""
        return self.now_s

    def tree_group(self, tree: str) -> str:
        """A group that does not exist."""
        return f"/sys/fs/cgroup/scripted/tree-{tree}"

    def boot_id(self) -> str:
        """Always the same life."""
        return "00000000-0000-0000-0000-000000000001"
