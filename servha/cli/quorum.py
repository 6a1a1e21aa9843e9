"""`servha quorum`: label, show and test the quorum disk. Declares the verbs; quorum_*.py carry them out."""

from __future__ import annotations

from servha.cli import exits, quorum_label, quorum_measure, quorum_show
from servha.cli.grammar import Place, Verb
from servha.core.words import say


def add(place: Place) -> None:
    """Declare the verbs of `servha quorum`."""
    verbs = place.noun("quorum", say("the quorum disk: make it, look at it, measure it"))
    verb = verbs.verb(
        "label",
        quorum_label.run,
        say("make a shared disk the quorum disk of this cluster"),
        example=(
            "servha quorum label /dev/disk/by-id/wwn-0x60080e50002a3f",
            "servha quorum label /dev/disk/by-id/wwn-0x60080e50002a3f --force demo --yes",
        ),
        codes=(
            exits.OK,
            exits.FAILED,
            exits.USAGE,
            exits.NOT_RUNNING,
            exits.REFUSED,
            exits.NO_SUCH,
            exits.NOT_PERMITTED,
        ),
        more=say(
            "Once, on one node; the other node finds the label. The disk is one that both nodes see, of its own,"
            " unpartitioned, at least 16 MiB; 100 to 500 MB is usual. The first MiB is left as it is. A disk that"
            " carries anything, is mounted, or is in use by a node is refused. On a disk that carries this cluster's"
            " label already nothing is changed."
        ),
    )
    verb.what("device", say("the disk, best by a name below /dev/disk/by-id"), metavar="DEVICE")
    verb.option(
        "--force",
        metavar="CLUSTER",
        default="",
        text=say(
            "label it anew although it carries a label already; the name of this cluster, typed out, says that it is"
            " meant"
        ),
    )
    verb.option("--dry-run", action="store_true", text=say("show the plan and change nothing"))
    verb.option("-y", "--yes", action="store_true", text=say("do not ask"))
    verb.output()
    verb = verbs.verb(
        "show",
        quorum_show.run,
        say("show whose disk it is, and what each node says there"),
        example="servha quorum show",
        codes=(exits.OK, exits.DEGRADED, exits.USAGE, exits.NOT_RUNNING, exits.NO_SUCH, exits.NOT_PERMITTED),
        more=say(
            "Both slots are watched for a moment, so that a node that writes can be told from one that wrote."
        ),
    )
    _device(verb)
    verb.output()
    verb = verbs.verb(
        "test",
        quorum_measure.run,
        say("measure how quickly the disk answers, and what that allows"),
        example=("servha quorum test", "servha quorum test /dev/disk/by-id/wwn-0x60080e50002a3f --write"),
        codes=(exits.OK, exits.DEGRADED, exits.USAGE, exits.NOT_RUNNING, exits.NO_SUCH, exits.NOT_PERMITTED),
        more=say(
            "While servha-guardd uses the disk, or without --write, the disk is only read. With --write this node's"
            " own scratch block is written, which nobody else reads; slots are never touched. Run it on both nodes at"
            " the same time to see whether both have the same disk."
        ),
    )
    _device(verb)
    verb.option(
        "--seconds", metavar="N", type=float, default=10.0, text=say("how long to measure (10 if not given)")
    )
    verb.option("--write", action="store_true", text=say("measure writing too, in a block made for it"))
    verb.output()


def _device(verb: Verb) -> None:
    verb.what(
        "device", say("the disk; else the one in the configuration"), metavar="DEVICE", nargs="?", default=""
    )
