"""`servha quorum test`: how quickly the disk answers, whether both nodes have the same one, and what that allows.

Decides which inequality of the lease (section 2.11 of the arbitration design) the measured disk limits. Reads only,
unless --write was given and no guard runs here: then this node's own scratch block is written, never a slot. While
a guard runs the slot is its own, and writing beside it would be measured as its trouble.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from servha.arbiters.quorum_disk import DirectIo
from servha.cli import exits, states
from servha.cli.block_device import BlockDevice, queues_forever
from servha.cli.picture import picture_of
from servha.cli.quorum_latency import Inequality, Latency, inequalities, latency, least_lease_ms
from servha.cli.quorum_reading import (
    Here,
    Watched,
    device_meant,
    device_rows,
    here,
    is_taken,
    opened,
    own_label,
    read,
    watch,
    watch_s,
)
from servha.cli.screen import Cell, Screen
from servha.core.timing import Limits
from servha.core.words import NOTHING_SAID, Text, as_dict, say
from servha.management import Client, LateAnswer, NotRunning
from servha.wire import sector
from servha.wire.rpc import Code, Refusal

PAUSE_S: Final = 0.002
"""Between two rounds: an array that also serves data must not be kept busy by its test."""

SCRATCH_MAGIC: Final = b"SHQTEST1"
SAMPLES_ENOUGH: Final = 1000
"""Fewer say nothing about one round in a thousand."""


# --- measuring --------------------------------------------------------------------------------------------------


class Rounds:
    """Measured rounds: a write to the scratch block, where allowed, and a read of all slots."""

    def __init__(self, io: DirectIo, device: BlockDevice, cluster: Here, *, writes: bool) -> None:
        self.took_s: list[float] = []
        self.peer_seen: set[bytes] = set()
        """Different contents of the peer's scratch block: more than one while its own test runs."""
        self._io, self._device, self._writes = io, device, writes
        self._own_at = sector.SCRATCH_AT + cluster.node * sector.BLOCK_BYTES
        self._peer_at = sector.SCRATCH_AT + (1 - cluster.node) * sector.BLOCK_BYTES
        self._name = cluster.us.encode()

    def once(self) -> None:
        """Do one round and remember how long it took."""
        began = time.monotonic()
        if self._writes:
            block = SCRATCH_MAGIC + len(self.took_s).to_bytes(8, "little") + self._name
            try:
                self._io.write(self._own_at, block.ljust(sector.BLOCK_BYTES, b"\0"))
            except OSError as error:
                text = say(
                    "{device} could not be written: {reason}",
                    device=self._device.name,
                    reason=error.strerror or str(error),
                )
                raise Refusal(Code.FAILED, text) from error
        read(self._io, self._device, sector.SLOTS_AT, sector.SLOTS_BYTES)
        self.took_s.append(time.monotonic() - began)
        if len(self.took_s) % 50 == 1:
            theirs = read(self._io, self._device, self._peer_at, sector.BLOCK_BYTES)
            if theirs.startswith(SCRATCH_MAGIC):
                self.peer_seen.add(theirs)

    def clean_up(self) -> None:
        """Leave the scratch block as it was: empty."""
        if self._writes:
            self._io.write(self._own_at, bytes(sector.BLOCK_BYTES))


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Measure, then say what it means."""
    if not 0 < args.seconds <= 3600:
        raise Refusal(Code.USAGE, say("{seconds} seconds is outside 0..3600", seconds=args.seconds))
    cluster = here()
    device = device_meant(args, cluster)
    taken = is_taken(device)  # this node's guard, or somebody else here
    io = opened(device, writes=args.write and not taken)
    try:
        own_label(io, device, cluster)
        if not screen.json:
            screen.line(_mode(device, taken=taken, writes=args.write), mood="warn" if taken else "")
        rounds = Rounds(io, device, cluster, writes=args.write and not taken)
        seconds = max(args.seconds, watch_s(cluster))
        seen = watch(io, device, cluster, seconds, _with_progress(rounds, seconds, screen))
        rounds.clean_up()
    finally:
        io.close()
    return _tell(screen, device, cluster, rounds, seen, writes=args.write and not taken, taken=taken)


def _mode(device: BlockDevice, *, taken: bool, writes: bool) -> Text:
    if taken and writes:
        return say(
            "{device} is in use on this node, as servha-guardd does: only reading is measured, the slot is the guard's",
            device=device.name,
        )
    if taken:
        return say(
            "{device} is in use on this node, as servha-guardd does: reading is measured", device=device.name
        )
    if writes:
        return say("Writing this node's scratch block and reading all slots is measured; no slot is written.")
    return say("Reading is measured; --write measures writing too, in a block made for it.")


def _with_progress(rounds: Rounds, seconds: float, screen: Screen) -> Callable[[], None]:
    """Return what goes on between two looks at the slots: rounds, and a line each second for a person."""
    began = shown = time.monotonic()

    def step() -> None:
        nonlocal shown
        rounds.once()
        time.sleep(PAUSE_S)
        now = time.monotonic()
        if screen.interactive and not screen.json and now - shown >= 1.0:
            shown = now
            screen.line(
                say(
                    "{done:.0f} of {all:.0f} s, {count} rounds, slowest {most:.1f} ms",
                    done=now - began,
                    all=seconds,
                    count=len(rounds.took_s),
                    most=max(rounds.took_s) * 1000,
                ),
                mood="quiet",
                indent=2,
            )

    return step


# --- telling ----------------------------------------------------------------------------------------------------


def same_disk(cluster: Here, rounds: Rounds, seen: tuple[Watched, Watched]) -> tuple[bool | None, Text]:
    """Return whether the other node was seen to write to this very disk, and why; None where it cannot be told."""
    peer = 1 - cluster.node
    name, watched = cluster.node_name(peer), seen[peer]
    if watched.changes and watched.side.slot is not None:
        return True, say(
            "{node} ({host}) wrote its slot on this disk {count} times meanwhile",
            node=name,
            host=watched.side.slot.host or "-",
            count=watched.changes,
        )
    if len(rounds.peer_seen) > 1:
        return True, say("{node} runs its own test on this disk", node=name)
    return None, say(
        "nothing was written by {node} meanwhile: with its servha-guardd running, or `servha quorum test --write` there"
        " at the same time, it would show",
        node=name,
    )


def _guarantee() -> tuple[Text, dict[str, Any]]:
    """Return the guarantee in force, as `servha status` has it; empty where servhad does not answer."""
    try:
        with Client() as client:
            answer = client.call("status")
    except (NotRunning, LateAnswer, Refusal):
        return NOTHING_SAID, {}
    raw = answer.get("cluster", {}).get("guarantee", {}) if isinstance(answer, dict) else {}
    return picture_of(answer).guarantee, raw


def _tell(
    screen: Screen,
    device: BlockDevice,
    cluster: Here,
    rounds: Rounds,
    seen: tuple[Watched, Watched],
    *,
    writes: bool,
    taken: bool,
) -> int:
    measured = latency(rounds.took_s)
    limits = cluster.document.timing.limits
    conditions = inequalities(limits, measured)
    same, same_because = same_disk(cluster, rounds, seen)
    guaranteed, guaranteed_raw = _guarantee()
    problems = [*cluster.document.timing.problems(leased=True), *_problems(device, conditions)]
    if screen.json:
        screen.answer(
            {
                "device": device.name,
                "stable_names": list(device.stable_names),
                "array_id": device.array_id,
                "measured": "write-and-read" if writes else "read",
                "in_use_here": taken,
                "rounds": {
                    "count": measured.count,
                    "p50_ms": measured.p50_ms,
                    "p99_ms": measured.p99_ms,
                    "p999_ms": measured.p999_ms,
                    "most_ms": measured.most_ms,
                },
                "inequalities": [
                    {
                        "name": one.name,
                        "holds": one.spare_ms >= 0,
                        "spare_ms": one.spare_ms,
                        "because": as_dict(one.text),
                    }
                    for one in conditions
                ],
                "lease_ms": limits.lease_ms,
                "least_lease_ms": least_lease_ms(limits, measured),
                "same_disk": same,
                "same_disk_because": as_dict(same_because),
                "guarantee": guaranteed_raw,
                "problems": [as_dict(problem) for problem in problems],
            }
        )
        return exits.DEGRADED if problems else exits.OK
    rows: list[list[Cell | str]] = [list(row) for row in device_rows(device, screen)]
    what = say("write and read") if writes else say("read")
    rows.append(
        [
            screen.words(what),
            screen.words(
                say(
                    "{count} rounds: half within {p50} ms, 99 % {p99} ms, 99.9 % {p999} ms, slowest {most} ms",
                    count=measured.count,
                    p50=f"{measured.p50_ms:.2f}",
                    p99=f"{measured.p99_ms:.2f}",
                    p999=f"{measured.p999_ms:.2f}",
                    most=f"{measured.most_ms:.2f}",
                )
            ),
        ]
    )
    if measured.count < SAMPLES_ENOUGH:
        rows.append(
            [
                "",
                Cell(
                    screen.words(
                        say("fewer than {n} rounds: the slowest stands for 99.9 %", n=SAMPLES_ENOUGH)
                    ),
                    "warn",
                ),
            ]
        )
    rows.append(
        [screen.words(say("same disk")), Cell(screen.words(same_because), "good" if same else "warn")]
    )
    if guaranteed.template:
        rows.append([screen.words(say("guarantee")), screen.words(guaranteed)])
    else:
        rows.append(
            [screen.words(say("guarantee")), screen.words(say("servhad is not running and cannot tell"))]
        )
    screen.table(rows)
    _tell_timing(screen, conditions, limits, measured, writes=writes)
    for number, problem in enumerate(problems):
        if number == 0:
            screen.line()
            screen.line(say("Problems"), mood="strong")
        screen.line(problem, mood="bad", indent=2)
    return exits.DEGRADED if problems else exits.OK


def _tell_timing(
    screen: Screen, conditions: Sequence[Inequality], limits: Limits, measured: Latency, *, writes: bool
) -> None:
    screen.line()
    screen.line(say("What this allows"), mood="strong")
    rows: list[list[Cell | str]] = []
    for one in conditions:
        holds = (
            Cell(screen.words(say("holds")), "good")
            if one.spare_ms >= 0
            else Cell(screen.words(say("broken")), "bad")
        )
        spare = states.for_how_long(abs(one.spare_ms) / 1000)
        left = (
            say("may be {time} slower", time=spare)
            if one.spare_ms >= 0
            else say("{time} too slow", time=spare)
        )
        rows.append([one.name, holds, screen.words(left), screen.words(one.text)])
    screen.table(rows)
    screen.line(
        say(
            "{name} limits the timing. With this disk the lease may be {least} ms or longer; it is {lease} ms.",
            name=conditions[0].name,
            least=least_lease_ms(limits, measured),
            lease=limits.lease_ms,
        ),
        indent=2,
    )
    if not writes:
        screen.line(
            say("Writing was not measured; it usually takes longer than reading."), mood="warn", indent=2
        )


def _problems(device: BlockDevice, conditions: Sequence[Inequality]) -> list[Text]:
    found = [
        say("{name} does not hold: {because}", name=one.name, because=one.text)
        for one in conditions
        if one.spare_ms < 0
    ]
    if queues_forever(device):
        found.append(
            say(
                "{device} waits without end when every path is gone; the quorum disk needs `no_path_retry fail` in"
                " multipath.conf",
                device=device.name,
            )
        )
    return found
