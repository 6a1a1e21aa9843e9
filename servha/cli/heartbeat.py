"""`servha heartbeat`: the links that heartbeats take, in order of preference, and their timing.

Decides how a link's two ends are typed: NODE=NIC[:ADDRESS]. Which links and figures may be is decided in config.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Final

from servha.cli import cluster_file, exits, heartbeat_history, states
from servha.cli.grammar import Place, Verb
from servha.cli.nics import end_address, nics_here
from servha.cli.picture import picture_of
from servha.cli.screen import Cell, Screen
from servha.cli.tree_edit import EDIT_CODES
from servha.core.timing import PROFILES
from servha.core.words import Text, say
from servha.management import Client
from servha.wire.rpc import Code, Refusal

if TYPE_CHECKING:
    from servha.config.document import Document
    from servha.config.edit import Edited

FIGURES: Final[tuple[tuple[str, Text], ...]] = (
    ("interval_ms", say("milliseconds between two heartbeats")),
    ("timeout_ms", say("milliseconds after which a heartbeat counts as lost")),
    ("warn_count", say("lost heartbeats before the warning")),
    ("dead_count", say("lost heartbeats before the link counts as dead")),
    ("first_start_ms", say("milliseconds a booting node waits for its peer before it may act alone")),
    ("lease_ms", say("milliseconds that a renewal of the lease protects the trees of a node")),
    ("watchdog_ms", say("milliseconds after which the watchdog resets a node that does not feed it")),
    ("round_ms", say("milliseconds between two rounds on the quorum disk")),
    ("drift_ppm", say("how wrong a clock may run, in millionths")),
    ("in_flight_ms", say("milliseconds for writes that a node which was just reset had sent to a disk")),
)


def add(place: Place) -> None:
    """Declare the verbs of `servha heartbeat`."""
    verbs = place.noun("heartbeat", say("the links that heartbeats take, and their timing"))
    verb = verbs.verb(
        "list",
        list_links,
        say("list the links in order of preference, and how each is"),
        example="servha heartbeat list",
        codes=(exits.OK, exits.NOT_RUNNING),
    )
    verb.output()
    heartbeat_history.add(verbs)
    verb = verbs.verb(
        "add",
        add_link,
        say("add a link"),
        example="servha heartbeat add third --end node1=eth3:192.0.2.1 --end node2=eth3:192.0.2.2",
        codes=EDIT_CODES,
        more=say("The address on this node may be left out: the NIC's only static IPv4 is taken."),
    )
    _name(verb)
    _ends(verb, required=True)
    verb = verbs.verb(
        "edit",
        edit_link,
        say("give a link another interface or address"),
        example="servha heartbeat edit public --end node2=ens3:192.0.2.2",
        codes=EDIT_CODES,
    )
    _name(verb)
    _ends(verb, required=True)
    verb = verbs.verb(
        "remove",
        remove_link,
        say("remove a link"),
        example="servha heartbeat remove third",
        codes=EDIT_CODES,
    )
    _name(verb)
    verb.changes()
    verb = verbs.verb(
        "reorder",
        reorder,
        say("set the order of preference; private links first"),
        example="servha heartbeat reorder private public",
        codes=EDIT_CODES,
    )
    verb.what("links", say("every link, the most preferred first"), metavar="LINK", nargs="+")
    verb.changes()
    verb = verbs.verb(
        "timing",
        timing,
        say("change the figures of heartbeat and lease"),
        example=(
            "servha heartbeat timing --profile fast",
            "servha heartbeat timing --interval-ms 500 --timeout-ms 900",
        ),
        codes=EDIT_CODES,
    )
    verb.option(
        "--profile", choices=tuple(PROFILES), text=say("all figures at once: manual (7.4 s) or fast (0.32 s)")
    )
    for figure, text in FIGURES:
        verb.option("--" + figure.replace("_", "-"), metavar="N", type=int, text=text)
    verb.changes()


def _name(verb: Verb) -> None:
    verb.what("link", say("name of the link"), metavar="LINK")


def _ends(verb: Verb, *, required: bool) -> None:
    verb.option(
        "--end",
        metavar="NODE=NIC[:ADDRESS]",
        action="append",
        default=[],
        required=required,
        text=say("one node's end of the link; may be given again for the other node"),
    )
    verb.changes()


def list_links(args: argparse.Namespace, screen: Screen) -> int:
    """Show each link with both its ends."""
    del args
    with Client() as client:
        answer = client.call("status")
        configured = client.call("config.get")
    document: Any = configured.get("document", configured) if isinstance(configured, dict) else {}
    picture = picture_of(answer)
    names = list((document or {}).get("links", ()))
    rows: list[list[Cell | str]] = []
    found: list[dict[str, Any]] = []
    for place, name in enumerate(names, start=1):
        for node in picture.nodes:
            for link in node.links:
                if link.name != name:
                    continue
                rows.append(
                    [
                        f"{place} {name}",
                        node.name,
                        f"{link.nic} {link.address}",
                        states.cell(screen, states.LINK, link.state),
                        screen.words(say("heard {time} ago", time=states.for_how_long(link.silent_s)))
                        if link.silent_s is not None
                        else "",
                    ]
                )
                found.append(
                    {
                        "place": place,
                        "link": name,
                        "node": node.name,
                        "nic": link.nic,
                        "address": link.address,
                        "state": link.state,
                        "silent_s": link.silent_s,
                        "rtt_ms": link.rtt_ms,
                        "loss": link.loss,
                    }
                )
    if screen.json:
        screen.answer({"links": found, "timing": (document or {}).get("timing", {})})
    else:
        screen.table(rows, indent=0)
    return exits.OK


def add_link(args: argparse.Namespace, screen: Screen) -> int:
    """Add a link."""
    from servha.cli import change  # noqa: PLC0415
    from servha.config import edit as edits  # noqa: PLC0415

    ends = _typed(args.end)

    def edited(base: Document) -> Edited:
        change.is_new(args.link, base.links)
        return edits.add_link(base, args.link, ends)

    return change.carry_out(
        args, screen, change.Change(edited, lambda _base: f"servha heartbeat remove {args.link}")
    )


def edit_link(args: argparse.Namespace, screen: Screen) -> int:
    """Change ends of a link."""
    from servha.cli import change  # noqa: PLC0415
    from servha.config import edit as edits  # noqa: PLC0415

    ends = _typed(args.end)

    def edited(base: Document) -> Edited:
        change.known_link(base, args.link)
        return edits.edit_link(base, args.link, ends)

    def undo(base: Document) -> str:
        words = []
        for node in base.nodes:
            if node.name in ends and args.link in node.links:
                end = node.links[args.link]
                words.append(f"--end {node.name}={end.nic}:{end.ip}")
        return f"servha heartbeat edit {args.link} {' '.join(words)}"

    return change.carry_out(args, screen, change.Change(edited, undo))


def remove_link(args: argparse.Namespace, screen: Screen) -> int:
    """Remove a link."""
    from servha.cli import change  # noqa: PLC0415
    from servha.config import edit as edits  # noqa: PLC0415

    def edited(base: Document) -> Edited:
        change.known_link(base, args.link)
        return edits.remove_link(base, args.link)

    return change.carry_out(
        args, screen, change.Change(edited, lambda base: cluster_file.undo(base.generation))
    )


def reorder(args: argparse.Namespace, screen: Screen) -> int:
    """Set the order of preference."""
    from servha.cli import change  # noqa: PLC0415
    from servha.config import edit as edits  # noqa: PLC0415

    return change.carry_out(
        args,
        screen,
        change.Change(
            lambda base: edits.reorder_links(base, tuple(args.links)),
            lambda base: "servha heartbeat reorder " + " ".join(base.links),
        ),
    )


def timing(args: argparse.Namespace, screen: Screen) -> int:
    """Change the heartbeat's figures."""
    from servha.cli import change  # noqa: PLC0415
    from servha.config import edit as edits  # noqa: PLC0415

    given = {name: getattr(args, name) for name, _ in FIGURES if getattr(args, name) is not None}
    if not given and args.profile is None:
        raise Refusal(
            Code.USAGE, say("nothing to change was given; `servha heartbeat timing --help` lists the figures")
        )
    start = PROFILES.get(args.profile or "")
    whole = {name: getattr(start, name) for name, _ in FIGURES} if start is not None else {}

    def undo(base: Document) -> str:
        words = [f"--{name.replace('_', '-')} {getattr(base.timing, name)}" for name in {**whole, **given}]
        return "servha heartbeat timing " + " ".join(words)

    return change.carry_out(
        args,
        screen,
        change.Change(
            lambda base: edits.edit_timing(base, **{**whole, **given}), undo, change.arbitration_notes
        ),
    )


def _typed(words: list[str]) -> dict[str, dict[str, str]]:
    """Return {node: {nic, address}}; the address may be left out on this node alone."""
    with Client() as client:
        us = picture_of(client.call("status")).node
    ends: dict[str, dict[str, str]] = {}
    for word in words:
        node, equals, rest = word.partition("=")
        nic, _, address = rest.partition(":")
        if not equals or not node or not nic:
            raise Refusal(
                Code.USAGE,
                say("{word} is not NODE=NIC[:ADDRESS]; for example --end node1=eth3:192.0.2.1", word=word),
            )
        if node == us:
            address = end_address(nic, address.split("/")[0], nics_here())
        elif not address:
            raise Refusal(
                Code.USAGE,
                say(
                    "the address of {nic} on {node} cannot be seen from here; give it: {node}={nic}:ADDRESS",
                    node=node,
                    nic=nic,
                ),
            )
        ends[node] = {"nic": nic, "address": address}
    return ends
