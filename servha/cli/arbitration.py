"""The part of the status about arbitration: policy, references, lease, quorum disk, watchdog.

Decides what is worth a line: while all is well the lease takes one, and what is in trouble gets one of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from servha.cli import states
from servha.cli.picture import EntrySeen, LeaseSeen, Picture
from servha.cli.screen import Cell, Screen
from servha.core.words import Text, say

Row = list[Cell | str]


def draw(picture: Picture, screen: Screen) -> None:
    """Write the section."""
    screen.line()
    screen.line(say("Arbitration"), mood="strong")
    policy = states.cell(screen, states.POLICY, picture.policy)
    rows: list[Row] = [
        [screen.words(say("policy")), policy, "", screen.words(picture.right_because)],
        *_references(picture, screen),
        *(lease_rows(picture, screen) if picture.lease is not None else ()),
    ]
    # The column of ages stays away where nothing has one.
    if not any(row[2] for row in rows):
        rows = [[row[0], row[1], row[3]] for row in rows]
    screen.table(rows)


def _references(picture: Picture, screen: Screen) -> Iterator[Row]:
    for address, answers, age_s in picture.references:
        asked = say("asked {time} ago", time=states.for_how_long(age_s)) if age_s is not None else Text("")
        answer = states.cell(screen, states.ANSWERS, states.answered(answers))
        yield [address, answer, "", screen.words(asked)]


def lease_rows(picture: Picture, screen: Screen) -> Iterator[Row]:
    """Yield the lease, then whatever about it is not as it should be, on this node and on the other one."""
    lease = picture.lease
    if lease is None:
        return
    yield [
        screen.words(say("lease")),
        states.cell(screen, states.LEASE, lease.word),
        screen.words(states.for_how_long(lease.since_s)),
        "; ".join(part for part in (screen.words(lease.because), _watchdog(lease, screen)) if part),
    ]
    yield from _troubles(lease, screen)
    for seen in lease.entries:
        if _is_worth_telling(seen, picture):
            told_above = _reason_of_the_tree(seen, picture) == seen.because
            words = entry_words(seen, screen, reason=not told_above)
            yield [f"  {seen.tree}", states.cell(screen, states.ENTRY, seen.entry), "", words]
    peer = next((node.name for node in picture.nodes if not node.us), "")
    if picture.peer_lease is not None and _is_in_trouble(picture.peer_lease):
        yield [
            screen.words(say("lease of {node}", node=peer)),
            states.cell(screen, states.LEASE, picture.peer_lease.word),
            screen.words(states.for_how_long(picture.peer_lease.since_s)),
            screen.words(picture.peer_lease.because),
        ]
        yield from _troubles(picture.peer_lease, screen, indent="  ")


def _watchdog(lease: LeaseSeen, screen: Screen) -> str:
    """Say what would end a node that hangs; it is armed while something is held, and only then."""
    if lease.watchdog and lease.lives:
        return screen.words(say("watchdog: {name}", name=lease.watchdog))
    if lease.word in ("free", "booting"):
        return screen.words(say("watchdog: not armed (nothing is held)"))
    return ""


def _troubles(lease: LeaseSeen, screen: Screen, *, indent: str = "") -> Iterator[Row]:
    if lease.works is False:
        trouble = screen.words(lease.trouble)
        named = trouble if lease.device in trouble else f"{lease.device}: {trouble}"
        yield [
            indent + screen.words(say("quorum disk")),
            states.cell(screen, states.DISK, "trouble"),
            "",
            named,
        ]
    if lease.lives and not lease.watchdog:
        yield [
            indent + screen.words(say("watchdog")),
            Cell(screen.words(say("missing")), "warn"),
            "",
            screen.words(say("nothing ends this node if it hangs while it holds a tree")),
        ]
    if lease.limits_differ:
        yield [
            indent + screen.words(say("lease figures")),
            Cell(screen.words(say("differ")), "bad"),
            "",
            screen.words(say("no takeover until both nodes have the same")),
        ]


def _is_in_trouble(lease: LeaseSeen) -> bool:
    return (
        lease.word not in ("free", "leased", "booting")
        or lease.works is False
        or (lease.lives and not lease.watchdog)
    )


def _is_worth_telling(seen: EntrySeen, picture: Picture) -> bool:
    """Whether a tree's entry is other than whoever looks at the trees above would think."""
    tree = picture.tree(seen.tree)
    here = tree.on.get(picture.node) if tree is not None else None
    runs_here = here is not None and here.phase == "running"
    if seen.entry in ("want", "stop-failed") or runs_here != seen.granted:
        return True
    peer = next((node for node in picture.nodes if not node.us), None)
    return seen.peer_holds and (runs_here or peer is None or peer.health not in ("alive", "suspect"))


def _reason_of_the_tree(seen: EntrySeen, picture: Picture) -> Text | None:
    tree = picture.tree(seen.tree)
    here = tree.on.get(picture.node) if tree is not None else None
    return here.because if here is not None else None


def entry_words(seen: EntrySeen, screen: Screen, *, reason: bool = True) -> str:
    """Return the reason of our entry (unless left out), its ownership number, and what the other node declares."""
    parts = [screen.words(seen.because)] if reason else []
    if seen.ownership:
        parts.append(screen.words(say("ownership number {number}", number=seen.ownership)))
    if seen.peer_entry != "none":
        parts.append(
            screen.words(
                say(
                    "the other node: {entry}, ownership number {number}",
                    entry=states.ENTRY.get(seen.peer_entry, (Text(seen.peer_entry), ""))[0],
                    number=seen.peer_ownership,
                )
            )
        )
    return "; ".join(part for part in parts if part)
