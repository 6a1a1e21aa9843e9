"""What the figures should be, and whether they are. One row a target; a row says in words what it asks.

Where a target allows the application its own time, that time was measured in the same run, in the same node.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.contestants import APPLICATION_ALONE
from bench.measures import measure
from bench.scale import PACEMAKER, contestant_name
from bench.spread import Book, ratio

OURS = "ServHA, profile fast"
OURS_QUORUM = "ServHA, quorum disk, profile fast"
PEER = "keepalived 0.1 s"
PEER_LIKE = "keepalived 0.1 s, notify scripts"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target, what was measured, and whether it was met; None where it could not be measured."""

    words: str
    measured: str
    met: bool | None


Row = Callable[[Book], Verdict]


def _middle(book: Book, contestant: str, key: str) -> float | None:
    spread = book.spread(contestant, key)
    return None if spread is None else spread.middle


def _at_most(words: str, key: str, limit: Callable[[Book], float | None], *, of: str = OURS) -> Row:
    def judge(book: Book) -> Verdict:
        ours, allowed, how = _middle(book, of, key), limit(book), measure(key)
        if ours is None or allowed is None:
            return Verdict(words, "not measured", None)
        said = f"{ours * how.factor:.{how.places}f} {how.unit}, allowed {allowed * how.factor:.{how.places}f}"
        return Verdict(words, said, ours <= allowed)

    return judge


def _ratio_at_most(words: str, key: str, most: float, *, peer: str) -> Row:
    def judge(book: Book) -> Verdict:
        found = ratio(book.spread(OURS, key), book.spread(peer, key))
        return Verdict(
            words,
            "not measured" if found is None else f"ratio {found:.2f}",
            None if found is None else found <= most,
        )

    return judge


def _own(*keys: str, plus: float) -> Callable[[Book], float | None]:
    def limit(book: Book) -> float | None:
        times = [_middle(book, APPLICATION_ALONE, key) for key in keys]
        return None if None in times else plus + sum(time for time in times if time is not None)

    return limit


def _flat(limit: float) -> Callable[[Book], float | None]:
    return lambda _: limit


TARGETS: tuple[Row, ...] = (
    _ratio_at_most(
        "power loss, HTTP: at most 1.1 times keepalived at 0.1 s that starts the application too",
        "power.http", 1.1, peer=PEER_LIKE,
    ),
    _ratio_at_most(
        "power loss, HTTP: at most 1.1 times keepalived at 0.1 s that finds the application running",
        "power.http", 1.1, peer=PEER,
    ),
    _ratio_at_most(
        "power loss, the address alone: at most 1.1 times keepalived at 0.1 s", "power.icmp", 1.1, peer=PEER
    ),
    _at_most("power loss, HTTP: at most 0.5 s", "power.http", _flat(0.5)),
    _at_most(
        "power loss with the manual's timing: at most 8.0 s", "power.http", _flat(8.0), of="ServHA, profile manual"
    ),
    _at_most(
        "power loss, quorum disk, watchdog and shared disk: at most 3.0 s", "power.http", _flat(3.0), of=OURS_QUORUM
    ),
    _at_most(
        "the same with the manual's timing: at most 8.0 s", "power.http", _flat(8.0),
        of="ServHA, quorum disk, profile manual",
    ),
    _at_most(
        "planned move, HTTP: at most 100 ms plus the application's own stop and start",
        "move.http", _own("app.start", "app.stop", plus=0.1),
    ),
    _at_most("application killed: noticed within 20 ms", "kill.noticed", _flat(0.020)),
    _at_most(
        "application killed: answering again within 100 ms plus its own start",
        "kill.http", _own("app.start", plus=0.1),
    ),
    _at_most("address removed: restored within 50 ms", "vip.restored", _flat(0.050)),
    _at_most("cold start: answering within 1.5 s after both daemons are up", "cold.up", _flat(1.5)),
    _at_most("servhad: at most 45 MiB PSS", "idle.pss", _flat(45 * 1024 * 1024)),
    _at_most("servhad: at most 1 CPU second a minute at 100 ms beats", "idle.cpu", _flat(1.0)),
    _at_most("servhad and servha-guardd: at most 45 MiB PSS", "idle.pss", _flat(45 * 1024 * 1024), of=OURS_QUORUM),
    _at_most(
        "servhad and servha-guardd: at most 1 CPU second a minute at 100 ms beats", "idle.cpu", _flat(1.0),
        of=OURS_QUORUM,
    ),
    *(
        _at_most(
            f"{count} resources checked every 10 s: at most {most} CPU seconds a minute"
            f" (Pacemaker, measured earlier: {PACEMAKER[count]})",
            "scale.run", _flat(most), of=contestant_name(count),
        )
        for count, most in ((100, 1.5), (500, 6.0))
    ),
    _at_most(
        "moving 250 trivial resources: at most 15 s (Pacemaker, measured earlier: 131 s)", "scale.move", _flat(15.0),
        of=contestant_name(500),
    ),
)  # fmt: skip


def verdicts(book: Book) -> list[Verdict]:
    """Judge every target by the middle of what was measured."""
    return [judge(book) for judge in TARGETS]
