"""PostgreSQL on the shared disk behind the address: no acknowledged commit is lost, whatever happens to its node.

    PG_FAULTS=20 SEED=7 .venv/bin/python -m pytest -s tests/live/test_postgresql.py

Power-offs of the owner and planned moves in an order made by a seed, which is printed, while a client outside both
nodes commits one number after the other. In the end every acknowledged number is there, once, in its order, and the
witness saw the file system open on one node at a time, and the records on the disk written by one at a time.

What this proves: a takeover never brings an older state, never lets two write, and the database finds on the disk
whatever it had forced there. A power-off freezes the node and shuts its ext4 down without a last write: whatever the
node's kernel held back is lost, so a database that acknowledges before it writes (synchronous_commit = off) fails here,
as the last power-off shows each time. What it does not prove: the loop device passes writes on past the page cache of
this machine, and that machine keeps its power. A disk with a volatile cache that lies about flushes, writes torn
within a sector, or writes lost out of order are not simulated.
"""

from __future__ import annotations

import os
import random
import statistics
import time

import pytest

from servha.lab.node import Node
from tests.live import postgresql, quorum
from tests.live.cluster import TREE
from tests.live.conftest import LabMaker
from tests.live.observer import watching
from tests.live.postgresql import PORT, Client, NotAnswered, inserting, log_when_it_fails
from tests.live.quorum import QuorumCluster
from tests.live.wait import eventually

FAULTS = int(os.environ.get("PG_FAULTS", "3"))
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 1_000_000)
ANSWER_S = 60.0
READY_S = 90.0
LOOKS_EVERY_S = 0.01
CALM_S = (0.1, 1.5)
"""How long the database is left alone before the next fault: within these, by chance."""
PROMISED = 50


def the_faults(chance: random.Random) -> list[str]:
    """Both kinds whatever the number, in an order by chance."""
    faults = ["power-off", "move", *(chance.choice(("power-off", "move")) for _ in range(FAULTS - 2))]
    chance.shuffle(faults)
    return faults


def with_database(make_lab: LabMaker, *, settings: str = "") -> QuorumCluster:
    """A cluster with a quorum disk whose tree has the database as well."""
    cluster = quorum.build_unhurried(make_lab(daemons=True))
    postgresql.install(cluster.lab, settings=settings)
    return cluster


def make_table(client: Client) -> None:
    """As soon as the database answers."""

    def made() -> bool:
        try:
            client.ask(
                "CREATE TABLE IF NOT EXISTS acknowledged (id bigserial PRIMARY KEY, number bigint NOT NULL)"
            )
        except NotAnswered:
            return False
        return True

    assert eventually(made, within_s=ANSWER_S), "the database does not answer"


def poweroff(cluster: QuorumCluster, owner: Node, client: Client) -> float:
    """Take the owner's power, wait for the next commit, give it back; returns when it went dark."""
    dark_at_s = owner.poweroff().dark_at_s
    client.await_commit(asked_after_s=dark_at_s, within_s=ANSWER_S)
    owner.boot()
    return dark_at_s


def move(cluster: QuorumCluster, owner: Node, client: Client) -> float:
    """Move the tree by an order; returns when it was given."""
    asked_s = time.monotonic()
    cluster.servha(owner, "tree", "move", TREE, cluster.other(owner).name, "--timeout", str(READY_S))
    client.await_commit(asked_after_s=time.monotonic(), within_s=ANSWER_S)
    return asked_s


def missing(client: Client) -> list[int]:
    """Acknowledged numbers that are not there; raises if what is there is not what was sent, each once, in order."""
    rows = [int(row) for row in client.ask("SELECT number FROM acknowledged ORDER BY id")]
    acknowledged = {commit.number for commit in client.commits}
    assert len(rows) == len(set(rows)), "a number is there twice"
    assert set(rows) <= acknowledged | set(client.in_doubt), "a number is there that was never sent"
    in_order = [number for number in rows if number in acknowledged]
    assert in_order == sorted(in_order), "the rows are not in the order in which they were acknowledged"
    return sorted(acknowledged - set(rows))


def loses_what_was_only_promised(cluster: QuorumCluster, owner: Node) -> None:
    """Show that the proof can fail: a database that acknowledges before it writes does lose commits here."""
    cluster.await_ready(owner, within_s=READY_S)
    client = Client(cluster.lab)
    client.ask("TRUNCATE acknowledged")
    client.ask("ALTER SYSTEM SET synchronous_commit = off")
    client.ask("ALTER SYSTEM SET wal_writer_delay = '10s'")
    client.ask("SELECT pg_reload_conf()")
    assert eventually(lambda: client.ask("SHOW synchronous_commit") == ["off"], within_s=ANSWER_S)
    with inserting(client):
        assert eventually(lambda: len(client.commits) >= PROMISED, within_s=ANSWER_S)
        poweroff(cluster, owner, client)
    lost = missing(client)
    print(f"with synchronous_commit = off: {len(lost)} of {len(client.commits)} acknowledged commits lost")
    assert lost


@pytest.mark.timeout(180 + FAULTS * (ANSWER_S + 2 * READY_S))
def test_every_acknowledged_commit_survives_power_offs_and_moves(make_lab: LabMaker) -> None:
    print(f"PG_FAULTS={FAULTS} SEED={SEED}")
    chance = random.Random(SEED)  # noqa: S311
    cluster = with_database(make_lab)
    client = Client(cluster.lab)
    blackouts: dict[str, list[float]] = {"power-off": [], "move": []}
    owner = cluster.node1
    with (
        watching(cluster.lab, port=PORT, records=cluster.records, every_s=LOOKS_EVERY_S) as cluster.seen,
        log_when_it_fails(cluster.lab),
    ):
        make_table(client)
        with inserting(client):
            for fault in the_faults(chance):
                cluster.await_ready(owner, within_s=READY_S)
                client.await_commit(asked_after_s=time.monotonic(), within_s=ANSWER_S)
                time.sleep(chance.uniform(*CALM_S))
                act = poweroff if fault == "power-off" else move
                blackouts[fault].append(client.blackout_s(act(cluster, owner, client)))
                owner = cluster.other(owner)
                cluster.witness.await_holders("disk", owner.name)
                print(f"{fault}: {blackouts[fault][-1]:.1f} s; {len(client.commits)} commits", flush=True)
        assert missing(client) == []
        loses_what_was_only_promised(cluster, owner)
    for fault, lengths in blackouts.items():
        figures = min(lengths), statistics.median(lengths), max(lengths)
        print(f"{fault} ({len(lengths)}): min/median/max {' / '.join(f'{s:.1f}' for s in figures)} s")
    print(f"{len(client.commits)} acknowledged, {len(client.in_doubt)} in doubt")
    # The witness was able to see it: every fault put the disk and the database on the other node.
    for thing in ("disk", "application", "address"):
        held = [who for _, who in cluster.witness.changes[thing] if who]
        assert len(held) >= FAULTS + 1, f"{thing}: {cluster.witness.story()}"
