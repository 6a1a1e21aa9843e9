"""The application kit on real nodes: a database moves to the shared disk, runs on both, and leaves again."""

from __future__ import annotations

from servha.lab import demo
from servha.lab.node import Node
from tests.live.conftest import LabMaker
from tests.live.postgresql import programs
from tests.live.wait import eventually

DISK, PLACE = "/dev/servha/data", "/srv/pg"
DATA = "/var/lib/kit/main"
SCRIPTS = "/opt/kit"
PORT = 5433
ADDRESS = "192.0.2.120/24"
TREE = "shop"
READY_S = 60.0


def listing(node: Node) -> str:
    """Everything in the data directory: names, owners, modes, sizes, times, content."""
    return node.run(
        "sh",
        "-c",
        f"cd {DATA} && find . -printf '%p %U %G %m %y %T@\\n' | sort"
        " && find . -type f -exec sha256sum {} + | sort",
    ).stdout


def servha(node: Node, *words: str, status: int = 0) -> str:
    done = node.run("servha", *words, check=False, within_s=2 * READY_S)
    assert done.returncode == status, (
        f"servha {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
    )
    return done.stdout + done.stderr


def asked(node: Node, question: str) -> str:
    return node.run(
        f"{programs()}/psql", "-h", "/tmp", "-p", str(PORT), "-U", "postgres", "-Atc", question
    ).stdout


def prepare(node: Node, *, with_data: bool) -> None:
    """The database as a package would have left it, with its scripts; stopped."""
    bin_ = programs()
    lines = {
        "start": f"exec {bin_}/pg_ctl -D {DATA} -w -t 60 -s -l {DATA}/log -o '-p {PORT} -k /tmp' start",
        "stop": f"exec {bin_}/pg_ctl -D {DATA} -w -t 50 -s -m fast stop",
    }
    node.run("mkdir", "-p", SCRIPTS, PLACE)
    for name, line in lines.items():
        node.run(
            "sh", "-c", f"cat >{SCRIPTS}/{name} && chmod 755 {SCRIPTS}/{name}", feed=f"#!/bin/sh\n{line}\n"
        )
    node.run("install", "-d", "-o", "postgres", "-g", "postgres", "-m", "0700", DATA)
    if with_data:
        as_postgres = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups")
        node.run(*as_postgres, f"{bin_}/initdb", "--auth=trust", "--locale=C", "--wal-segsize=1", "-D", DATA)


def test_a_database_joins_the_cluster_moves_with_its_data_and_leaves_again(make_lab: LabMaker) -> None:
    lab = make_lab(daemons=True)
    one, two = lab.nodes
    demo.form_cluster(lab)
    one.run("mkfs.ext4", "-q", "-F", DISK)
    prepare(one, with_data=True)
    prepare(two, with_data=False)
    before = listing(one)
    values = ("web-service", "--set", f"address={ADDRESS}", "nic=pub0", f"device={DISK}", f"mount_point={PLACE}",
              f"start={SCRIPTS}/start", f"stop={SCRIPTS}/stop", f"data={DATA}", f"port={PORT}",
              "user=postgres", f"tree={TREE}")  # fmt: skip

    one.run("mount", DISK, PLACE)
    plan = servha(one, "app", "plan", *values)
    assert DATA in plan
    assert listing(one) == before, "a plan changes nothing"

    servha(one, "app", "add", *values, "--yes")
    assert one.run("readlink", DATA).stdout.strip().startswith(PLACE)
    assert listing(one) == before, "the same files, through the link"
    servha(two, "app", "add", *values, "--yes")
    one.run("umount", PLACE)

    servha(one, "tree", "start", TREE)
    asked(one, "create table receipts (number int)")
    asked(one, "insert into receipts select generate_series(1, 1000)")
    move = ("servha", "tree", "move", TREE, "node2")
    assert eventually(lambda: one.run(*move, check=False, within_s=READY_S).returncode == 0, within_s=READY_S)
    assert asked(two, "select count(*) from receipts").strip() == "1000", "the data came along"
    servha(two, "tree", "move", TREE, "node1")
    servha(one, "tree", "stop", TREE)

    # Back to before: the database on node1's own disk, with what it has learned, and nothing left of the tree.
    one.run("mount", DISK, PLACE)
    assert "--keep" in servha(one, "app", "undo", TREE, "--yes", status=5), (
        "both have a claim: asked, not guessed"
    )
    servha(one, "app", "undo", TREE, "--keep", "disk", "--yes")
    servha(two, "app", "undo", TREE, "--yes")
    one.run("umount", PLACE)
    for node in lab.nodes:
        assert node.run("test", "-L", DATA, check=False).returncode != 0
        assert TREE not in servha(node, "tree", "list")
    one.run("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", f"{SCRIPTS}/start")
    assert asked(one, "select count(*) from receipts").strip() == "1000"
    one.run("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", f"{SCRIPTS}/stop")
