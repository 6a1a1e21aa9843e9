"""The steps by which a node takes a shared disk with a persistent reservation, and gives it back.

A table says which command follows which answer; it is pure, the same for every disk, and asks nothing by itself.
It refuses to guess: an answer without a row ends the attempt, and an attempt that failed takes its own registrations
back, so that nobody is left who could write without holding the disk.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from servha.core.words import Text, say
from servha.fences import sg_persist
from servha.fences.sg_persist import MEANING, WRITE_EXCLUSIVE_REGISTRANTS_ONLY, Answer, Unreadable

ROUNDS_MAX: Final = 8
"""How often the keys are read anew before a disk on which they keep changing is given up."""


class Step(StrEnum):
    """What is asked of the disk; most steps are taken on every path, one after the other."""

    REGISTER = "register"
    READ_KEYS = "read-keys"
    PREEMPT = "preempt"
    READ_RESERVATION = "read-reservation"
    RESERVE = "reserve"
    CONFIRM = "confirm"
    VERIFY_KEYS = "verify-keys"
    VERIFY_RESERVATION = "verify-reservation"
    RELEASE = "release"
    UNREGISTER = "unregister"
    READ_LEFT = "read-left"
    WITHDRAW = "withdraw"


class Sign(StrEnum):
    """What an answer tells."""

    DONE = "done"
    CONFLICT = "conflict"
    TROUBLE = "trouble"  # anything else: the answer itself says what
    ALONE = "alone"  # our key, and no other
    FOREIGN = "foreign"  # our key and others
    MISSING = "missing"  # our key is not there
    NONE = "none"  # there is no reservation
    OURS = "ours"  # the reservation is ours and of the right type
    THEIRS = "theirs"
    WRONG_TYPE = "wrong-type"


class Outcome(StrEnum):
    """How it ended."""

    HELD = "held"  # only this node can write the disk
    FREE = "free"  # nothing of ours is left on the disk
    LOST = "lost"  # another node has thrown us out
    REFUSED = "refused"  # it could not be done; what is left on the disk keeps nobody from taking it


@dataclass(frozen=True, slots=True)
class Turn:
    """After `step` was answered with `sign`: what comes next, and why. `everywhere`: once all paths said so."""

    step: Step
    sign: Sign
    then: Step | Outcome
    because: Text
    everywhere: bool = False


THROWN_OUT = say("another node has thrown our key out")

TURNS: Final[tuple[Turn, ...]] = (
    # taking it
    Turn(Step.REGISTER, Sign.DONE, Step.READ_KEYS, say("our key is on every path"), everywhere=True),
    Turn(
        Step.REGISTER,
        Sign.CONFLICT,
        Outcome.REFUSED,
        say("an old reservation (RESERVE, not persistent) is in the way: reset the logical unit"),
    ),
    Turn(Step.READ_KEYS, Sign.MISSING, Outcome.LOST, THROWN_OUT),
    Turn(Step.READ_KEYS, Sign.FOREIGN, Step.PREEMPT, say("whoever else is registered may write")),
    Turn(Step.READ_KEYS, Sign.ALONE, Step.READ_RESERVATION, say("nobody else is registered")),
    Turn(Step.PREEMPT, Sign.DONE, Step.READ_KEYS, say("others may have come meanwhile")),
    # Either that key went by itself or ours did: the disk answers both alike, the keys tell.
    Turn(Step.PREEMPT, Sign.CONFLICT, Step.READ_KEYS, say("that key or ours is gone: the keys tell")),
    # There is no turn for anything else: the key may be gone and its commands not aborted yet, which no later look
    # at the keys would show.
    Turn(Step.READ_RESERVATION, Sign.NONE, Step.RESERVE, say("nobody holds a reservation")),
    Turn(Step.READ_RESERVATION, Sign.OURS, Step.CONFIRM, say("the reservation came to us")),
    Turn(Step.READ_RESERVATION, Sign.THEIRS, Step.READ_KEYS, say("somebody has come in between")),
    Turn(
        Step.READ_RESERVATION,
        Sign.WRONG_TYPE,
        Outcome.REFUSED,
        say("the disk has a reservation of another type, which does not keep all others from writing"),
    ),
    Turn(Step.RESERVE, Sign.DONE, Step.CONFIRM, say("now every path has to prove it")),
    Turn(Step.RESERVE, Sign.CONFLICT, Step.READ_KEYS, say("somebody was quicker, or threw us out")),
    # A path that was registered before somebody threw us out is no longer; its twin would hide that in the keys.
    Turn(Step.CONFIRM, Sign.DONE, Step.VERIFY_KEYS, say("every path is registered"), everywhere=True),
    Turn(Step.CONFIRM, Sign.CONFLICT, Outcome.LOST, THROWN_OUT),
    Turn(
        Step.VERIFY_KEYS, Sign.ALONE, Step.VERIFY_RESERVATION, say("all see our key alone"), everywhere=True
    ),
    Turn(Step.VERIFY_KEYS, Sign.FOREIGN, Step.READ_KEYS, say("others have come meanwhile")),
    Turn(Step.VERIFY_KEYS, Sign.MISSING, Outcome.LOST, THROWN_OUT),
    Turn(Step.VERIFY_RESERVATION, Sign.OURS, Outcome.HELD, say("only we can write it"), everywhere=True),
    Turn(Step.VERIFY_RESERVATION, Sign.NONE, Step.READ_KEYS, say("the reservation went away again")),
    Turn(Step.VERIFY_RESERVATION, Sign.THEIRS, Step.READ_KEYS, say("somebody has come in between")),
    Turn(Step.VERIFY_RESERVATION, Sign.WRONG_TYPE, Step.READ_KEYS, say("somebody has come in between")),
    # Giving it back. Only the path that reserved can release, and after a restart nobody knows which it was: all
    # are asked. What could not be done shows in the keys at the end.
    Turn(Step.RELEASE, Sign.DONE, Step.UNREGISTER, say("released"), everywhere=True),
    Turn(
        Step.RELEASE, Sign.CONFLICT, Step.UNREGISTER, say("it was not registered any more"), everywhere=True
    ),
    Turn(Step.RELEASE, Sign.TROUBLE, Step.UNREGISTER, say("the keys tell at the end"), everywhere=True),
    Turn(Step.UNREGISTER, Sign.DONE, Step.READ_LEFT, say("unregistered"), everywhere=True),
    Turn(
        Step.UNREGISTER, Sign.CONFLICT, Step.READ_LEFT, say("it was not registered any more"), everywhere=True
    ),
    Turn(Step.UNREGISTER, Sign.TROUBLE, Step.READ_LEFT, say("the keys tell at the end"), everywhere=True),
    Turn(Step.READ_LEFT, Sign.MISSING, Outcome.FREE, say("nothing of ours is left on the disk")),
    Turn(Step.READ_LEFT, Sign.ALONE, Outcome.REFUSED, say("our key is still on the disk")),
    Turn(Step.READ_LEFT, Sign.FOREIGN, Outcome.REFUSED, say("our key is still on the disk")),
)
_TAKING: Final = {
    Step.REGISTER,
    Step.READ_KEYS,
    Step.PREEMPT,
    Step.READ_RESERVATION,
    Step.RESERVE,
    Step.CONFIRM,
    Step.VERIFY_KEYS,
    Step.VERIFY_RESERVATION,
}
_TURN: Final = {(turn.step, turn.sign): turn for turn in TURNS}
_READS_KEYS: Final = {Step.READ_KEYS, Step.VERIFY_KEYS, Step.READ_LEFT}
_READS_RESERVATION: Final = {Step.READ_RESERVATION, Step.VERIFY_RESERVATION}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it has come: `step` is to be asked on path number `at`; `foreign` are the keys still to be thrown out.

    `withdraws`: an attempt that fails takes its registrations back first, and `ending` is what it is going to say.
    """

    key: int
    paths: tuple[str, ...]
    step: Step
    at: int = 0
    foreign: tuple[int, ...] = ()
    thrown_out: tuple[int, ...] = ()
    rounds: int = 0
    withdraws: bool = True
    ending: Verdict | None = None

    def argv(self) -> tuple[str, ...]:
        """The command that comes next."""
        path = self.paths[self.at]
        match self.step:
            case Step.REGISTER:
                return sg_persist.register(path, self.key)
            case Step.PREEMPT:
                return sg_persist.preempt_and_abort(path, self.key, self.foreign[0])
            case Step.RESERVE:
                return sg_persist.reserve(path, self.key)
            case Step.CONFIRM:
                return sg_persist.confirm(path, self.key)
            case Step.RELEASE:
                return sg_persist.release(path, self.key)
            case Step.UNREGISTER | Step.WITHDRAW:
                return sg_persist.unregister(path, self.key)
            case Step.READ_KEYS | Step.VERIFY_KEYS | Step.READ_LEFT:
                return sg_persist.read_keys(path)
            case Step.READ_RESERVATION | Step.VERIFY_RESERVATION:
                return sg_persist.read_reservation(path)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end: `thrown_out` are the keys that were there before us; `path` is the one that made the difference."""

    outcome: Outcome
    because: Text
    path: str = ""
    thrown_out: tuple[int, ...] = ()


def advance(progress: Progress, answer: Answer, output: str) -> Progress | Verdict:
    """Take the answer to `progress.argv()` in and return what comes next; the same for every disk and every host."""
    if progress.ending is not None:  # withdrawing: whatever the answer, there is no more to be done about it
        at = progress.at + 1
        return replace(progress, at=at) if at < len(progress.paths) else progress.ending
    path = progress.paths[progress.at]
    sign = Sign.TROUBLE
    foreign: tuple[int, ...] = ()
    if answer in (Answer.DONE, Answer.CONFLICT):
        sign = Sign(answer.value)
    try:
        if sign is Sign.DONE and progress.step in _READS_KEYS:
            sign, foreign = keys_sign(progress.key, output)
        elif sign is Sign.DONE and progress.step in _READS_RESERVATION:
            sign = reservation_sign(progress.key, output)
    except Unreadable:
        sign, answer = Sign.TROUBLE, Answer.UNCLEAR
    turn = _TURN.get((progress.step, sign))
    if turn is None:
        return _end(progress, Outcome.REFUSED, on_path(path, MEANING[answer]))
    if turn.everywhere and progress.at + 1 < len(progress.paths):
        return replace(progress, at=progress.at + 1)
    if isinstance(turn.then, Outcome):
        return _end(progress, turn.then, turn.because)
    if progress.step is Step.PREEMPT and sign is Sign.DONE:
        done, *left = progress.foreign
        progress = replace(progress, thrown_out=(*progress.thrown_out, done))
        if left:
            return replace(progress, foreign=tuple(left))
    if turn.then is Step.READ_KEYS:
        if progress.rounds >= ROUNDS_MAX:
            return _end(progress, Outcome.REFUSED, say("registrations on the disk keep changing"))
        progress = replace(progress, rounds=progress.rounds + 1)
    return replace(progress, step=turn.then, at=0, foreign=foreign)


def _end(progress: Progress, outcome: Outcome, because: Text) -> Progress | Verdict:
    verdict = Verdict(outcome, because, progress.paths[progress.at], progress.thrown_out)
    if outcome is Outcome.HELD or progress.step not in _TAKING or not progress.withdraws:
        return verdict
    return replace(progress, step=Step.WITHDRAW, at=0, ending=verdict)


def keys_sign(key: int, output: str) -> tuple[Sign, tuple[int, ...]]:
    """What the registered keys tell, and which of them are not ours. Raises Unreadable."""
    found = sg_persist.keys_in(output)
    foreign = found.foreign_to(key)
    if key not in found.keys:
        return Sign.MISSING, foreign
    return (Sign.FOREIGN if foreign else Sign.ALONE), foreign


def reservation_sign(key: int, output: str) -> Sign:
    """What the reservation tells. Raises Unreadable."""
    found = sg_persist.reservation_in(output)
    if found is None:
        return Sign.NONE
    # Type first: with "all registrants" the key that is shown is 0 and nobody's.
    if found.type != WRITE_EXCLUSIVE_REGISTRANTS_ONLY:
        return Sign.WRONG_TYPE
    return Sign.OURS if found.key == key else Sign.THEIRS


def on_path(path: str, why: Text) -> Text:
    """Put the path in front of the reason."""
    return say("{device}: {why}", device=path, why=why)
