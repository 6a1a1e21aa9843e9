"""`servha quorum show`: whose disk it is, and what each node says there.

Decides how a record is told to people. What the records entitle to is not told here: `servha status` does.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from servha.cli import exits, states
from servha.cli.quorum_reading import (
    Here,
    Watched,
    device_meant,
    device_rows,
    here,
    opened,
    own_label,
    read,
    watch,
    watch_s,
)
from servha.cli.screen import Cell, Screen
from servha.core.register import NO_CLAIM, Entry, Slot, TreeEntry
from servha.core.timing import Limits
from servha.core.words import Text, as_dict, say
from servha.wire import sector
from servha.wire.sector import BLOCK_BYTES, Header, Reason, Reject

ENTRY: Final[Mapping[Entry, tuple[Text, str]]] = {
    Entry.NONE: (say("does not hold it"), "calm"),
    Entry.WANT: (say("wants it"), "warn"),
    Entry.HELD: (say("holds it"), "good"),
    Entry.RELEASED: (say("has released it"), "calm"),
    Entry.STOP_FAILED: (say("holds it, could not stop it"), "bad"),
}
FLAG: Final[Mapping[str, Text]] = {
    "reference_ok": say("reaches the reference address"),
    "hears_peer": say("hears its peer"),
    "shut_down": say("shut down in order"),
    "maintenance": say("in maintenance"),
    "eligible": say("able to take over"),
    "watchdog_armed": say("watchdog armed"),
    "reservations_ok": say("reservations work"),
    "degraded": say("degraded"),
}
REJECT: Final[Mapping[Reason, Text]] = {
    Reason.FOREIGN_CLUSTER: say("a record of another cluster"),
    Reason.SEAL: say("damaged, or written with another cluster key"),
    Reason.VERSION: say("written by a release that this one does not know"),
    Reason.PLACE: say("a record that belongs elsewhere"),
}


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Watch for a moment, then show."""
    cluster = here()
    device = device_meant(args, cluster)
    io = opened(device)
    try:
        area = read(io, device, sector.HEADERS_AT, sector.HEADERS_BYTES)
        copies = [
            sector.decode_header(area[at : at + BLOCK_BYTES], cluster.cluster_id, cluster.key)
            for at in (0, BLOCK_BYTES)
        ]
        label = own_label(io, device, cluster)
        watched_s = watch_s(cluster)
        seen = watch(io, device, cluster, watched_s)
        ended_s = time.monotonic()
    finally:
        io.close()
    problems = problems_of(device.name, cluster, label, copies, seen)
    if screen.json:
        screen.answer(
            {
                "device": device.name,
                "stable_names": list(device.stable_names),
                "size_bytes": device.size_bytes,
                "array_id": device.array_id,
                "label": {**asdict(label), "cluster": cluster.document.cluster.name},
                "watched_s": round(watched_s, 3),
                "slots": [_slot_answer(node, one, cluster, ended_s) for node, one in enumerate(seen)],
                "problems": [as_dict(problem) for problem in problems],
            }
        )
        return exits.DEGRADED if problems else exits.OK
    screen.line(say("Quorum disk of cluster {cluster}", cluster=cluster.document.cluster.name), mood="strong")
    rows: list[list[Cell | str]] = [list(row) for row in device_rows(device, screen)]
    rows.append(
        [
            screen.words(say("labelled")),
            screen.words(
                say(
                    "by configuration {generation}: {limits}",
                    generation=label.generation,
                    limits=limits_words(label.limits),
                )
            ),
        ]
    )
    screen.table(rows)
    for node, one in enumerate(seen):
        screen.line()
        _show_slot(node, one, cluster, screen, watched_s, ended_s)
    if problems:
        screen.line()
        screen.line(say("Problems"), mood="strong")
        for problem in problems:
            screen.line(problem, mood="warn", indent=2)
    return exits.DEGRADED if problems else exits.OK


def problems_of(
    device: str,
    cluster: Here,
    label: Header,
    copies: list[Header | Reject],
    seen: tuple[Watched, Watched],
) -> list[Text]:
    """Return, in words, what is not as it should be on a disk that is ours."""
    found: list[Text] = []
    if any(isinstance(copy, Reject) for copy in copies) or copies[0] != copies[1]:
        found.append(
            say(
                "one of the two copies of the label is damaged: with both nodes stopped, `servha quorum label {device}"
                " --force {cluster}` writes both",
                device=device,
                cluster=cluster.document.cluster.name,
            )
        )
    for node, watched in enumerate(seen):
        name = cluster.node_name(node)
        found += [
            say(
                "a copy of the slot of {node} is not to be believed: {because}",
                node=name,
                because=REJECT.get(reject.reason, say("not a record at all")),
            )
            for reject in watched.side.rejects
        ]
        slot = watched.side.slot
        if slot is not None and slot.limits != cluster.document.timing.limits:
            found.append(
                say(
                    "{node} runs with other figures than the configuration: {limits}",
                    node=name,
                    limits=limits_words(slot.limits),
                )
            )
    return found


def limits_words(limits: Limits) -> Text:
    """Return the lease's figures in words."""
    return say(
        "lease {lease_ms} ms, watchdog {watchdog_ms} ms, round {round_ms} ms, in flight {in_flight_ms} ms",
        lease_ms=limits.lease_ms,
        watchdog_ms=limits.watchdog_ms,
        round_ms=limits.round_ms,
        in_flight_ms=limits.in_flight_ms,
    )


def _show_slot(
    node: int, watched: Watched, cluster: Here, screen: Screen, watched_s: float, ended_s: float
) -> None:
    slot, name = watched.side.slot, cluster.node_name(node)
    title = say("{node} (this node)", node=name) if name == cluster.us else Text("{node}", (("node", name),))
    screen.line(say("Slot {number}: {node}", number=node, node=title), mood="strong")
    if slot is None:
        blank = (
            say("empty: this node never wrote here")
            if watched.side.blank
            else say("nothing that can be believed")
        )
        screen.line(blank, mood="warn", indent=2)
        return
    moving = (
        say(
            "written {count} times in {time}, last {ago} ago",
            count=watched.changes,
            time=states.for_how_long(watched_s),
            ago=states.for_how_long(ended_s - watched.changed_s),
        )
        if watched.changed_s is not None
        else say("not written in the {time} it was watched", time=states.for_how_long(watched_s))
    )
    flags = [screen.words(FLAG[flag]) for flag, on in asdict(slot.flags).items() if on]
    rows: list[list[Cell | str]] = [
        [screen.words(say("life")), Cell(screen.words(moving), "good" if watched.changes else "warn")],
        [
            screen.words(say("written by")),
            screen.words(
                say(
                    "{host}, servha {version}, at {when} by its clock",
                    host=slot.host or "-",
                    version=slot.version or "-",
                    when=_when(slot.written_at),
                )
            ),
        ],
        [
            screen.words(say("record")),
            screen.words(
                say(
                    "{number} of boot {generation} ({boot_id})",
                    number=slot.number,
                    generation=slot.generation,
                    boot_id=slot.boot_id[:8],
                )
            ),
        ],
        [screen.words(say("figures")), screen.words(limits_words(slot.limits))],
    ]
    if flags:
        rows.append([screen.words(say("says")), "; ".join(flags)])
    if slot.claim != NO_CLAIM:
        rows.append(
            [screen.words(say("claim")), Cell(screen.words(_claim_words(slot, node, cluster)), "warn")]
        )
    rows += [_tree_row(tree, cluster, screen) for tree in slot.trees]
    screen.table(rows)


def _claim_words(slot: Slot, node: int, cluster: Here) -> Text:
    return say(
        "it will not wait again for boot {generation} of {peer}",
        generation=slot.claim.target_generation,
        peer=cluster.node_name(1 - node),
    )


def _tree_row(tree: TreeEntry, cluster: Here, screen: Screen) -> list[Cell | str]:
    entry, mood = ENTRY[tree.entry]
    said = say("{entry} (ownership {number})", entry=entry, number=tree.ownership)
    name = screen.words(say("tree {tree}", tree=cluster.tree_name(tree.id)))
    return [name, Cell(screen.words(said), mood)]


def _slot_answer(node: int, watched: Watched, cluster: Here, ended_s: float) -> dict[str, Any]:
    slot = watched.side.slot
    changed_s = None if watched.changed_s is None else round(ended_s - watched.changed_s, 3)
    return {
        "node": cluster.node_name(node),
        "blank": watched.side.blank,
        "changes": watched.changes,
        "changed_ago_s": changed_s,
        "rejects": [reject.reason.value for reject in watched.side.rejects],
        "record": None
        if slot is None
        else {
            **asdict(slot),
            "trees": [{**asdict(tree), "name": cluster.tree_name(tree.id)} for tree in slot.trees],
        },
    }


def _when(nanoseconds: int) -> str:
    if nanoseconds <= 0:
        return "-"
    moment = datetime.fromtimestamp(nanoseconds / 1e9, UTC).astimezone()
    return moment.isoformat(" ", "seconds")[:19]
