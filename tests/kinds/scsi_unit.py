"""A logical unit with persistent reservations, as far as sg_persist's words reach: it answers what was recorded.

test_sg_persist.py replays recorded sessions against it before anything else relies on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from servha.fences.sg_persist import TYPES
from servha.host import Completed, ScriptedHost

NAMES = {number: name for name, number in TYPES.items()}
ACTIONS = {
    "--register": "Register",
    "--register-ignore": "Register and ignore existing key",
    "--reserve": "Reserve",
    "--release": "Release",
    "--preempt": "Preempt",
    "--preempt-abort": "Preempt and abort",
}
CAPABLE = """\
Report capabilities response:
  Replace Lost Reservation Capable(RLR_C): 0
  Compatible Reservation Handling(CRH): 1
  Specify Initiator Ports Capable(SIP_C): 1
  All Target Ports Capable(ATP_C): 1
  Persist Through Power Loss Capable(PTPL_C): 1
  Type Mask Valid(TMV): 1
  Allow Commands: 1
  Persist Through Power Loss Active(PTPL_A): {active}
    Support indicated in Type mask:
      Write Exclusive, all registrants: 1
      Exclusive Access, registrants only: 1
      Write Exclusive, registrants only: 1
      Exclusive Access: 1
      Write Exclusive: 1
      Exclusive Access, all registrants: 1
"""


class Unit:
    """`registered` maps a path to its key; a path is a nexus of its own."""

    def __init__(self) -> None:
        self.generation = 0
        self.registered: dict[str, int] = {}
        self.holder: str | None = None
        self.type = 0
        self.attention: set[str] = set()
        self.persistent = False

    def may_write(self, path: str) -> bool:
        """Under "registrants only", which is all that is played here."""
        return self.holder is None or path in self.registered

    def answer(self, argv: Sequence[str]) -> Completed:
        path = argv[-1]
        if argv[0] == "dd":
            return Completed(0 if self.may_write(argv[2].removeprefix("of=")) else 1)
        given = dict(word.removeprefix("--").partition("=")[::2] for word in argv[1:-1])
        if path in self.attention:
            self.attention.remove(path)
            return self._attention(argv[2] == "--out", argv[3])
        if "in" in given:
            return Completed(0, self._read(argv[3]))
        key, other = (int(given.get(name, "0"), 16) for name in ("param-rk", "param-sark"))
        code = self._act(argv[3], path, key, other, int(given.get("prout-type", "0"), 16))
        self.persistent = self.persistent or (code == 0 and "param-aptpl" in given)
        words = {0: "", 2: "Device not ready", 24: "Reservation conflict"}[code]
        said = f"PR out ({ACTIONS[argv[3]]}): {words}\nsg_persist failed: {words}\n" if words else ""
        return Completed(code, said)

    def _attention(self, out: bool, word: str) -> Completed:  # noqa: FBT001
        way = "out" if out else "in"
        what = ACTIONS.get(word) or word.removeprefix("--").replace("-", " ").capitalize()
        return Completed(
            6,
            f"Persistent reservation {way}:\nFixed format, current; Sense key: Unit Attention\n"
            f"Additional sense: Registrations preempted\nPR {way} ({what}): Unit attention\n"
            "sg_persist failed: Unit attention\n",
        )

    def _read(self, what: str) -> str:
        head = f"  PR generation=0x{self.generation:x}, "
        if what == "--report-capabilities":
            return CAPABLE.format(active=int(self.persistent))
        if what == "--read-reservation":
            if self.holder is None:
                return head + "there is NO reservation held\n"
            key = self.registered[self.holder]
            return f"{head}Reservation follows:\n    Key=0x{key:x}\n    scope: LU_SCOPE,  type: {NAMES[self.type]}\n"
        count = len(self.registered)
        if not count:
            return head + "there are NO registered reservation keys\n"
        title = (
            "1 registered reservation key follows"
            if count == 1
            else f"{count} registered reservation keys follow"
        )
        return f"{head}{title}:\n" + "".join(f"    0x{key:x}\n" for key in self.registered.values())

    def _act(self, action: str, path: str, key: int, other: int, kind: int) -> int:
        mine = self.registered.get(path)
        match action:
            case "--register-ignore":
                self._register(path, other)
            case "--register" if mine == key or (mine is None and key == 0):
                self._register(path, other)
            case "--reserve" if mine is None:
                return 2
            case "--reserve" if mine == key and self.holder in (None, path):
                self.holder, self.type = path, kind
            case "--release" if mine == key and self.holder != path:
                pass
            case "--release" if mine == key and self.type == kind:
                self.holder = None
            case "--preempt" | "--preempt-abort" if mine == key and other in self.registered.values():
                self._preempt(path, other, kind)
            case _:
                return 24
        return 0

    def _register(self, path: str, key: int) -> None:
        if key:
            self.registered[path] = key
            self.generation += 1
        else:
            self._remove(path)

    def _remove(self, path: str) -> None:
        self.registered.pop(path, None)
        if self.holder == path:
            self.holder = None

    def _preempt(self, path: str, victim: int, kind: int) -> None:
        held = self.holder is not None and self.registered[self.holder] == victim
        for gone in [p for p, key in self.registered.items() if key == victim and p != path]:
            self._remove(gone)
            self.attention.add(gone)
        if held:
            self.holder, self.type = path, kind
        self.generation += 1


class OnUnit(ScriptedHost):
    """A node whose sg_persist reaches the unit; `broken_paths` end with that exit code instead."""

    def __init__(self, unit: Unit) -> None:
        super().__init__()
        self.unit = unit
        self.broken_paths: dict[str, Completed] = {}

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
        del timeout_s, env, cgroup, cwd, user, output
        self.calls.append(tuple(argv))
        await asyncio.sleep(0)
        return self.broken_paths.get(argv[-1]) or self.unit.answer(argv)


@dataclass(frozen=True)
class Said:
    argv: tuple[str, ...]
    output: str
    code: int


def sessions() -> Iterator[list[Said]]:
    text = (Path(__file__).parent / "recorded" / "sg_persist.txt").read_text(encoding="utf-8")
    for session in text.split("\n== ")[1:]:
        said: list[Said] = []
        for block in session.split("\n$ ")[1:]:
            command, *output, status = block.strip("\n").split("\n")
            said.append(
                Said(tuple(command.split()), "".join(f"{line}\n" for line in output), int(status[2:]))
            )
        yield said


RECORDED = [said for session in sessions() for said in session if said.argv[0] == "sg_persist"]
