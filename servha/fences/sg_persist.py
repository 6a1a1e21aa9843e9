"""How to ask a disk about SCSI-3 persistent reservations through `sg_persist`, and how to read what it says.

Argument lists and text only. Which command comes next, and what an answer means for a tree, is decided in
scsi_reservation.py. What cannot be read is `Unreadable`, never "no keys".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from servha.core.words import Text, say

PROGRAM: Final = "sg_persist"
WRITE_EXCLUSIVE_REGISTRANTS_ONLY: Final = 5
"""The one type in use here: whoever has registered may write, all others may only read."""

TYPES: Final[Mapping[str, int]] = {
    "Write Exclusive": 1,
    "Exclusive Access": 3,
    "Write Exclusive, registrants only": 5,
    "Exclusive Access, registrants only": 6,
    "Write Exclusive, all registrants": 7,
    "Exclusive Access, all registrants": 8,
}


class Unreadable(ValueError):
    """The program ended well, but what it wrote is not what it is known to write."""


# --- what is asked -------------------------------------------------------------------------------------------


def hexadecimal(key: int) -> str:
    """The form in which keys are given to the program and read from it, without the 0x.

    >>> hexadecimal(0x5348abcd10020003)
    '5348abcd10020003'
    """
    return f"{key:x}"


def _in(question: str, device: str) -> tuple[str, ...]:
    # Without the INQUIRY, which would be a second command that can fail, and another time limit.
    return (PROGRAM, "--no-inquiry", "--in", question, device)


def _out(action: str, device: str, *parameters: str) -> tuple[str, ...]:
    return (PROGRAM, "--no-inquiry", "--out", action, *parameters, device)


def read_keys(device: str) -> tuple[str, ...]:
    """Which keys are registered, once for each way by which a machine reaches the disk."""
    return _in("--read-keys", device)


def read_reservation(device: str) -> tuple[str, ...]:
    """Who holds the reservation, and of which type it is."""
    return _in("--read-reservation", device)


def report_capabilities(device: str) -> tuple[str, ...]:
    """What the disk can do."""
    return _in("--report-capabilities", device)


def register(device: str, key: int) -> tuple[str, ...]:
    """Register this path under `key`, whatever it was registered as; to last through a loss of power."""
    return _out("--register-ignore", device, f"--param-sark={hexadecimal(key)}", "--param-aptpl")


def unregister(device: str, key: int) -> tuple[str, ...]:
    """Take back this path's registration, if it still is `key`."""
    return _out("--register", device, f"--param-rk={hexadecimal(key)}", "--param-sark=0")


def confirm(device: str, key: int) -> tuple[str, ...]:
    """Register `key` over itself: changes nothing, and is refused where this very path is not registered."""
    own = hexadecimal(key)
    return _out("--register", device, f"--param-rk={own}", f"--param-sark={own}", "--param-aptpl")


def reserve(device: str, key: int) -> tuple[str, ...]:
    """Make the reservation."""
    return _out("--reserve", device, f"--param-rk={hexadecimal(key)}", *_TYPE)


def release(device: str, key: int) -> tuple[str, ...]:
    """Give the reservation up; nothing happens where another path or node holds it."""
    return _out("--release", device, f"--param-rk={hexadecimal(key)}", *_TYPE)


def preempt_and_abort(device: str, key: int, foreign: int) -> tuple[str, ...]:
    """Throw `foreign` out on all its paths, abort its commands, and take its reservation if it has it."""
    return _out(
        "--preempt-abort",
        device,
        f"--param-rk={hexadecimal(key)}",
        f"--param-sark={hexadecimal(foreign)}",
        *_TYPE,
    )


_TYPE: Final = (f"--prout-type={WRITE_EXCLUSIVE_REGISTRANTS_ONLY:x}",)


# --- what is answered ----------------------------------------------------------------------------------------


class Answer(StrEnum):
    """How a command ended."""

    DONE = "done"
    CONFLICT = "conflict"  # the disk refuses us: our key is not there, or another's is in the way
    NOT_READY = "not-ready"
    FAULTY = "faulty"  # medium or hardware error
    ILLEGAL = "illegal"
    UNSUPPORTED = "unsupported"
    ATTENTION = "attention"  # something has happened before; the command was not carried out
    BUSY = "busy"
    ABORTED = "aborted"
    NO_DEVICE = "no-device"
    TIMED_OUT = "timed-out"
    NOT_INSTALLED = "not-installed"
    UNCLEAR = "unclear"

    @property
    def again(self) -> bool:
        """Whether the command was certainly not carried out and may simply be given once more."""
        return self in (Answer.ATTENTION, Answer.BUSY)


EXIT_STATUS: Final[Mapping[int, Answer]] = {
    0: Answer.DONE,
    2: Answer.NOT_READY,
    3: Answer.FAULTY,
    5: Answer.ILLEGAL,
    6: Answer.ATTENTION,
    9: Answer.UNSUPPORTED,
    11: Answer.ABORTED,
    15: Answer.NO_DEVICE,
    17: Answer.ILLEGAL,
    18: Answer.FAULTY,
    24: Answer.CONFLICT,
    26: Answer.BUSY,
    27: Answer.BUSY,
    29: Answer.ABORTED,
    33: Answer.TIMED_OUT,
    40: Answer.ABORTED,
    127: Answer.NOT_INSTALLED,
}
"""From EXIT STATUS in the manual page sg3_utils(8)."""

MEANING: Final[Mapping[Answer, Text]] = {
    Answer.DONE: say("done"),
    Answer.CONFLICT: say("the disk answers with a reservation conflict"),
    Answer.NOT_READY: say("the disk says that it is not ready"),
    Answer.FAULTY: say("the disk reports a medium or hardware error"),
    Answer.ILLEGAL: say("the disk does not know this reservation command or one of its fields"),
    Answer.UNSUPPORTED: say("the disk has no persistent reservations"),
    Answer.ATTENTION: say("the disk wants attention again and again"),
    Answer.BUSY: say("the disk stays busy"),
    Answer.ABORTED: say("the command was aborted"),
    Answer.NO_DEVICE: say("the device cannot be opened"),
    Answer.TIMED_OUT: say("the disk did not answer in time"),
    Answer.NOT_INSTALLED: say("the program sg_persist is not on this node: install the package sg3-utils"),
    Answer.UNCLEAR: say("what sg_persist answered cannot be understood"),
}


def answer(code: int | None, *, timed_out: bool = False) -> Answer:
    """Read an exit code; None or a signal's is unclear, never done.

    >>> answer(24), answer(None, timed_out=True), answer(-9), answer(55)
    (<Answer.CONFLICT: 'conflict'>, <Answer.TIMED_OUT: 'timed-out'>, <Answer.UNCLEAR: 'unclear'>, \
<Answer.NO_DEVICE: 'no-device'>)
    """
    if timed_out:
        return Answer.TIMED_OUT
    if code is not None and 50 < code <= 96:
        return Answer.NO_DEVICE  # 50 + errno of open() or of the ioctl
    return EXIT_STATUS.get(code, Answer.UNCLEAR) if code is not None else Answer.UNCLEAR


@dataclass(frozen=True, slots=True)
class Keys:
    """The registered keys in the disk's order, one for each path; `generation` counts their changes."""

    generation: int
    keys: tuple[int, ...]

    def foreign_to(self, key: int) -> tuple[int, ...]:
        """Every other key, once."""
        return tuple(dict.fromkeys(other for other in self.keys if other != key))


@dataclass(frozen=True, slots=True)
class Reservation:
    """Who holds the reservation: `key` of its holder, `type` as a number."""

    generation: int
    key: int
    type: int


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the disk can do, as far as it matters here."""

    survives_power_loss: bool
    write_exclusive_registrants_only: bool


_HEAD = re.compile(r"^ *PR generation=0x([0-9a-f]{1,8}), (.+?) *$", re.MULTILINE)
_COUNT = re.compile(r"([0-9]{1,4}) registered reservation keys? follows?:")
_KEY_LINE = re.compile(r" +0x([0-9a-f]{1,16})\n")  # to its end: half a key would be another one
_HOLDER = re.compile(r" +Key=0x([0-9a-f]{1,16}) *\n +scope: LU_SCOPE, +type: ([^\n]+?) *\n")
_CAPABILITY = re.compile(r"^ *[^\n:()]+\(([A-Z_]+)\): ([01]) *$", re.MULTILINE)
_TYPE_LINE = re.compile(r"^ {6}([A-Z][^\n:]+): ([01]) *$", re.MULTILINE)


def _head(text: str) -> tuple[int, str, str]:
    """The generation, what is said after it, and the text below."""
    found = _HEAD.search(text)
    if found is None:
        raise Unreadable(text[:200])
    return int(found[1], 16), found[2], text[found.end() :].removeprefix("\n")


def keys_in(text: str) -> Keys:
    r"""Read the answer to `read_keys`; fewer or more keys than announced are no answer.

    >>> keys_in("  PR generation=0x1, 1 registered reservation key follows:\n    0xab\n")
    Keys(generation=1, keys=(171,))
    >>> keys_in("  PR generation=0x0, there are NO registered reservation keys\n").keys
    ()
    """
    generation, said, below = _head(text)
    if said == "there are NO registered reservation keys":
        return Keys(generation, ())
    count = _COUNT.fullmatch(said)
    found: list[int] = []
    for line in below.splitlines(keepends=True):
        key = _KEY_LINE.fullmatch(line)
        if key is None:
            break
        found.append(int(key[1], 16))
    if count is None or int(count[1]) != len(found) or not found:
        raise Unreadable(text[:200])
    return Keys(generation, tuple(found))


def reservation_in(text: str) -> Reservation | None:
    r"""Read the answer to `read_reservation`; None when there is none.

    >>> reservation_in("  PR generation=0x0, there is NO reservation held\n") is None
    True
    """
    generation, said, below = _head(text)
    if said == "there is NO reservation held":
        return None
    found = _HOLDER.match(below)
    if said != "Reservation follows:" or found is None or found[2] not in TYPES:
        raise Unreadable(text[:200])
    return Reservation(generation, int(found[1], 16), TYPES[found[2]])


def capabilities_in(text: str) -> Capabilities:
    """Read the answer to `report_capabilities`; a disk that does not name its types is taken to have all."""
    said = {name: value == "1" for name, value in _CAPABILITY.findall(text)}
    if "PTPL_C" not in said or "TMV" not in said:
        raise Unreadable(text[:200])
    types = {name: value == "1" for name, value in _TYPE_LINE.findall(text)}
    ours = "Write Exclusive, registrants only"
    if said["TMV"] and ours not in types:
        raise Unreadable(text[:200])
    return Capabilities(said["PTPL_C"], not said["TMV"] or types[ours])
