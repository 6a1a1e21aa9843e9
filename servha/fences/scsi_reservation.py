"""SCSI-3 persistent reservations: who may write a shared disk, enforced by the disk itself.

Takes a disk, gives it back, and looks whether it is still ours (section 2.12 of the arbitration design); which
command follows which answer stands in reservation_steps.py. Whether the node may take the disk at all is the guard's
to say, and so is what happens when the key is lost. A path that cannot be registered is a refusal here, never "good
enough": writes through it would fail later.
"""

from __future__ import annotations

import asyncio
import binascii
import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from servha.core.words import NOTHING_SAID, Text, say
from servha.fences import sg_persist
from servha.fences.reservation_steps import (
    ROUNDS_MAX,
    THROWN_OUT,
    Outcome,
    Progress,
    Sign,
    Step,
    Verdict,
    advance,
    keys_sign,
    on_path,
    reservation_sign,
)
from servha.fences.sg_persist import MEANING, Answer, Unreadable
from servha.host import Host, HostError

TRIES_MAX: Final = 5
"""How often a command that the disk did not carry out is given again; each device reset costs one."""
TRY_AGAIN_S: Final = 0.02
COMMAND_TIMEOUT_S: Final = 5.0
LAYERS_MAX: Final = 8

_MARK: Final = int.from_bytes(b"SH", "big")


def key_of(cluster: bytes, *, node: int, tree: int, ownership: int) -> int:
    """The key under which `node` (0..15) registers for `tree` (0..4095) with this ownership number.

    `cluster` is the cluster's UUID. Every start has a key of its own, so what an earlier one left behind, on this
    node too, is foreign and is thrown out. Raises ValueError for a number that does not fit.

    >>> f"{key_of(bytes(16), node=1, tree=2, ownership=65539):#x}"
    '0x5348000010020003'
    """
    if not 0 <= node < 1 << 4 or not 0 <= tree < 1 << 12:
        raise ValueError(f"node {node} or tree {tree} does not fit into a key")
    return _MARK << 48 | binascii.crc_hqx(cluster, 0) << 32 | node << 28 | tree << 16 | ownership & 0xFFFF


def whose(key: int, cluster: bytes) -> Text:
    """Say whose key it is, for an alarm: a node of this cluster's, another cluster's, or another program's."""
    if key >> 48 != _MARK:
        return say("key 0x{key} of another program", key=sg_persist.hexadecimal(key))
    if key >> 32 & 0xFFFF != binascii.crc_hqx(cluster, 0):
        return say("key 0x{key} of another cluster", key=sg_persist.hexadecimal(key))
    return say(
        "key 0x{key} of node {node} for tree {tree}",
        key=sg_persist.hexadecimal(key),
        node=key >> 28 & 0xF,
        tree=key >> 16 & 0xFFF,
    )


def paths_of(device: str, *, sys: Path = Path("/sys")) -> tuple[str, ...]:
    """The disks below a block device (a partition, a volume, a multipath device), each of which has to register.

    Raises OSError where there is no such device, or it has more layers than anybody stacks.
    """
    names = [Path(os.path.realpath(device)).name]
    for _ in range(LAYERS_MAX):
        below: list[str] = []
        for name in names:
            entry = (sys / "class/block" / name).resolve(strict=True)
            slaves = sorted(slave.name for slave in entry.glob("slaves/*"))
            whole = entry.parent.name if (entry / "partition").exists() else name
            below += slaves or [whole]
        if below == names:
            return tuple(f"/dev/{name}" for name in dict.fromkeys(names))
        names = below
    raise OSError(f"{device} has more than {LAYERS_MAX} layers")


# --- doing it -----------------------------------------------------------------------------------------------


async def activate(
    host: Host, key: int, paths: Sequence[str], *, command_timeout_s: float = COMMAND_TIMEOUT_S
) -> Verdict:
    """Make this node the only one that can write the disk behind all `paths`; HELD, LOST or REFUSED.

    Every key but `key` is thrown out and its commands are aborted, so this is only for who may take the disk. An
    attempt that fails takes its own registrations back. After a refusal while throwing a key out, that node's last
    commands may still be under way: whoever tries again owes them the time for commands in flight.
    """
    return await _carry_out(host, Progress(key, tuple(paths), Step.REGISTER), command_timeout_s)


async def restore(
    host: Host, key: int, paths: Sequence[str], *, command_timeout_s: float = COMMAND_TIMEOUT_S
) -> Verdict:
    """Make a reservation that went away again, under a key that is still there, while the tree runs on.

    What cannot be done leaves the registrations as they are: without them the running tree could not write.
    """
    first = Progress(key, tuple(paths), Step.READ_KEYS, withdraws=False)
    return await _carry_out(host, first, command_timeout_s)


async def deactivate(
    host: Host, key: int, paths: Sequence[str], *, command_timeout_s: float = COMMAND_TIMEOUT_S
) -> Verdict:
    """Give the disk back once nothing is mounted from it: FREE, or REFUSED and the next owner throws us out."""
    return await _carry_out(host, Progress(key, tuple(paths), Step.RELEASE), command_timeout_s)


async def _carry_out(host: Host, first: Progress, command_timeout_s: float) -> Verdict:
    if not first.paths:
        return Verdict(Outcome.REFUSED, say("the disk has no path on this node"))
    progress = first
    for _ in range(8 * (ROUNDS_MAX + 1) * (len(first.paths) + 64)):
        answer, output = await _ask(host, progress.argv(), command_timeout_s)
        following = advance(progress, answer, output)
        if isinstance(following, Verdict):
            return following
        progress = following
    raise AssertionError("the rounds are counted, so this ends")


async def _ask(host: Host, argv: tuple[str, ...], timeout_s: float) -> tuple[Answer, str]:
    """Give one command, again where the disk did not carry it out."""
    answer, output = Answer.UNCLEAR, ""
    for attempt in range(TRIES_MAX):
        if attempt:
            await asyncio.sleep(TRY_AGAIN_S)
        try:
            done = await host.run(argv, timeout_s=timeout_s)
        except HostError as error:
            return Answer.NOT_INSTALLED, str(error)
        answer, output = sg_persist.answer(done.code, timed_out=done.timed_out), done.output
        if not answer.again:
            break
    return answer, output


class Hold(StrEnum):
    """Whether the disk is still ours."""

    HELD = "held"
    UNRESERVED = "unreserved"  # our key is there, the reservation is not: others may write until `activate`
    LOST = "lost"  # our key is gone, or the reservation is another's: writes fail from now on
    UNREADABLE = "unreadable"  # no path answered: nothing is known


@dataclass(frozen=True, slots=True)
class Sight:
    """What a look found. `foreign` may write beside us; `unread` are the paths that did not answer."""

    hold: Hold
    because: Text = NOTHING_SAID
    foreign: tuple[int, ...] = ()
    unread: tuple[str, ...] = ()


async def look(
    host: Host, key: int, paths: Sequence[str], *, command_timeout_s: float = COMMAND_TIMEOUT_S
) -> Sight:
    """Look through every path whether the disk is still ours; changes nothing. The worst that was seen counts."""
    sights = await asyncio.gather(*(_look(host, key, path, command_timeout_s) for path in paths))
    unread = tuple(path for path, sight in zip(paths, sights, strict=True) if sight.hold is Hold.UNREADABLE)
    foreign = tuple(dict.fromkeys(other for sight in sights for other in sight.foreign))
    for hold in (Hold.LOST, Hold.UNRESERVED, Hold.HELD):
        worst = next((sight for sight in sights if sight.hold is hold), None)
        if worst is not None:
            return Sight(hold, worst.because, foreign, unread)
    because = sights[0].because if sights else say("the disk has no path on this node")
    return Sight(Hold.UNREADABLE, because, (), unread)


async def _look(host: Host, key: int, path: str, timeout_s: float) -> Sight:
    foreign: tuple[int, ...] = ()
    for argv in (sg_persist.read_keys(path), sg_persist.read_reservation(path)):
        answer, output = await _ask(host, argv, timeout_s)
        try:
            if answer is not Answer.DONE:
                return Sight(Hold.UNREADABLE, on_path(path, MEANING[answer]))
            if argv == sg_persist.read_keys(path):
                sign, foreign = keys_sign(key, output)
            else:
                sign = reservation_sign(key, output)
        except Unreadable:
            return Sight(Hold.UNREADABLE, on_path(path, MEANING[Answer.UNCLEAR]))
        if sign is Sign.MISSING:
            return Sight(Hold.LOST, on_path(path, THROWN_OUT), foreign)
        if sign is Sign.NONE:
            return Sight(Hold.UNRESERVED, on_path(path, say("there is no reservation any more")), foreign)
        if sign in (Sign.THEIRS, Sign.WRONG_TYPE):
            return Sight(Hold.LOST, on_path(path, say("another holds the reservation")), foreign)
    return Sight(Hold.HELD, on_path(path, say("only we can write it")), foreign)


async def unfit(host: Host, path: str, *, command_timeout_s: float = COMMAND_TIMEOUT_S) -> Text | None:
    """Why the disk behind `path` cannot be reserved as needed here; None when it can."""
    answer, output = await _ask(host, sg_persist.report_capabilities(path), command_timeout_s)
    if answer is not Answer.DONE:
        return on_path(path, MEANING[answer])
    try:
        can = sg_persist.capabilities_in(output)
    except Unreadable:
        return on_path(path, MEANING[Answer.UNCLEAR])
    if not can.write_exclusive_registrants_only:
        return say("{device} cannot reserve for registrants only", device=path)
    if not can.survives_power_loss:
        return say("{device} forgets reservations when it loses power", device=path)
    return None
