"""`servha status`: the whole cluster on one screen, problems first; every state with since when and because of what.

Decides the order of what is shown. Draws from a `Picture` only, so the live view shows the same.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Container, Iterator

from servha.cli import arbitration, exits, states
from servha.cli.grammar import Place
from servha.cli.picture import MaintenanceSeen, NodeSeen, Picture, TreeSeen, picture_of
from servha.cli.screen import Cell, Screen
from servha.core.words import Text, say
from servha.management import Client
from servha.wire.rpc import Code, Refusal

AGAIN_S = 2.0
BUSY = ("stop-failed", "running", "starting", "stopping", "wanted")
"""Phases in which a tree is doing something somewhere, the most telling first."""


def add(place: Place) -> None:
    """Declare `servha status`."""
    verb = place.verb(
        "status",
        run,
        say("show the whole cluster on one screen"),
        example=("servha status", "servha status -o json", "servha status -w 1"),
        codes=(exits.OK, exits.DEGRADED, exits.NOT_RUNNING),
        more=say("Problems come first; every state says since when and because of what."),
    )
    verb.output()
    verb.option(
        "-w",
        "--watch",
        metavar="SECONDS",
        type=float,
        nargs="?",
        const=AGAIN_S,
        text=say("show it again every so many seconds (2 if not given) until interrupted"),
    )
    verb.option("--node", metavar="NODE", text=say("only what concerns this node"))


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Show the cluster once, or again and again."""
    with Client() as client:
        if args.watch is None:
            return show(answer_of(client), screen, only=args.node or "")
        while True:
            if not screen.json and screen.colour:
                print("\x1b[H\x1b[2J", end="", file=screen.out)
            show(answer_of(client), screen, only=args.node or "")
            time.sleep(max(0.1, args.watch))


def answer_of(client: Client) -> object:
    """Return the daemon's picture; an empty one where it says that there is no cluster."""
    try:
        return client.call("status")
    except Refusal as refusal:
        if refusal.code == Code.NO_SUCH:
            return {}
        raise


def show(answer: object, screen: Screen, *, only: str = "") -> int:
    """Show one answer; return 0, 3 when something is wrong, 4 when there is no cluster."""
    picture = picture_of(answer)
    if screen.json:
        screen.answer(answer)
    elif picture.exists:
        draw(picture, screen, only=only)
    else:
        screen.line(say("There is no cluster on this node yet."))
        screen.line(
            say("Next: `servha cluster init --help` makes one, `servha cluster join --help` joins one.")
        )
    if not picture.exists:
        return exits.NOT_RUNNING
    return exits.DEGRADED if picture.degraded else exits.OK


def draw(picture: Picture, screen: Screen, *, only: str = "") -> None:
    """Write the picture: head, problems, trees, nodes and links, arbitration."""
    _head(picture, screen)
    _problems(picture, screen)
    _maintenance(picture, screen)
    _trees(picture, screen, only)
    _nodes(picture, screen, only)
    arbitration.draw(picture, screen)


def _head(picture: Picture, screen: Screen) -> None:
    screen.line(
        say(
            "Cluster {cluster}, seen from {node}; configuration {generation}",
            cluster=picture.cluster,
            node=picture.node,
            generation=picture.generation,
        ),
        mood="strong",
    )
    if picture.guarantee.template:
        screen.line(say("Guarantee: {guarantee}", guarantee=picture.guarantee))


def _problems(picture: Picture, screen: Screen) -> None:
    screen.line()
    if not picture.alarms:
        screen.line(say("No problems."), mood="good")
        return
    screen.line(say("Problems"), mood="strong")
    grave = {"error": 0, "warning": 1}
    worst_first = sorted(picture.alarms, key=lambda alarm: grave.get(alarm.severity, 2))
    screen.table(
        [
            [
                states.cell(screen, states.SEVERITY, alarm.severity),
                screen.words(states.for_how_long(alarm.since_s)),
                screen.words(alarm.text),
            ]
            for alarm in worst_first
        ]
    )


def _maintenance(picture: Picture, screen: Screen) -> None:
    if not picture.maintenance:
        return
    screen.line()
    screen.line(say("In maintenance (M): watched, and left as it is"), mood="strong")
    screen.table(
        [
            [
                Cell(m.what, "warn"),
                screen.words(
                    say("only a person ends it")
                    if m.left_s is None
                    else say("ends in {time}", time=states.for_how_long(m.left_s))
                ),
                screen.words(_reason(m)),
            ]
            for m in picture.maintenance
        ]
    )


def _reason(m: MaintenanceSeen) -> Text:
    since = states.for_how_long(m.since_s)
    if not m.allowed:
        return say("{reason} ({by}, {time} ago)", reason=m.reason, by=m.by, time=since)
    return say(
        "{reason} ({by}, {time} ago); no alarm for: {allowed}",
        reason=m.reason,
        by=m.by,
        time=since,
        allowed=", ".join(m.allowed),
    )


def _trees(picture: Picture, screen: Screen, only: str) -> None:
    screen.line()
    if not picture.trees:
        screen.line(say("No resource tree yet. Next: `servha tree create --help`."))
        return
    screen.line(say("Resource trees"), mood="strong")
    rows = [
        row
        for tree in picture.trees
        for row in tree_rows(tree, screen, only=only, maintained=[m.what for m in picture.maintenance])
    ]
    screen.table(rows)


def tree_rows(
    tree: TreeSeen, screen: Screen, *, only: str = "", maintained: Container[str] = ()
) -> Iterator[list[Cell | str]]:
    """Yield the rows of one tree: itself, what it does on each node, its resources; (M) marks what is `maintained`."""

    def badge(what: str) -> str:
        return " (M)" if what in maintained else ""

    where = tree.running_on or screen.words(say("nowhere"))
    mood = "good" if tree.running_on else "bad" if tree.goal == "run" else "calm"
    yield [
        Cell(f"{tree.name} [{where}]{badge(tree.name)}", mood),
        tree_state(tree, screen),
        screen.words(states.for_how_long(tree.since_s)),
        screen.words(_placement(tree)),
    ]
    for host in tree.hosts:
        seen = tree.on.get(host)
        if seen is None or (only and host != only):
            continue
        because, against = screen.words(seen.because), screen.words(seen.against)
        remarks = []
        if any(check.problems for check in seen.checks):
            remarks.append(screen.words(states.READY["unready"][0]))
        elif seen.fitness != "fit" and seen.phase in ("off", "wanted"):
            remarks.append(screen.words(states.FITNESS.get(seen.fitness, (Text(seen.fitness), ""))[0]))
        if seen.parked != "no":
            remarks.append(screen.words(states.PARKED.get(seen.parked, (Text(seen.parked), ""))[0]))
        yield [
            f"  @ {host}{badge(host)}",
            states.cell(screen, states.PHASE, seen.phase),
            "",
            "; ".join(part for part in dict.fromkeys((because, *remarks, against)) if part),
        ]
    for resource in tree.resources:
        state = states.cell(screen, states.RESOURCE, resource.state)
        if resource.step in ("starting", "stopping", "start-failed", "stop-failed", "broken"):
            state = states.cell(screen, states.STEP, resource.step)
        yield [
            f"    {resource.name} ({resource.kind}){badge(f'{tree.name}/{resource.name}')}",
            state,
            screen.words(states.for_how_long(resource.since_s)),
            screen.words(resource.because),
        ]


def tree_state(tree: TreeSeen, screen: Screen) -> Cell:
    """What the tree as a whole is doing: what was ordered when that is to stop, else its most active phase."""
    phases = {seen.phase for seen in tree.on.values()}
    if tree.goal == "stop" and not phases & set(BUSY):
        return states.cell(screen, states.GOAL, "stop")
    return states.cell(screen, states.PHASE, next((phase for phase in BUSY if phase in phases), "off"))


def _placement(tree: TreeSeen) -> Text:
    if tree.pin:
        return say(
            "placed on {node} by hand: `servha tree release {tree}` lets it go home",
            node=tree.pin,
            tree=tree.name,
        )
    return say("prefers {hosts}", hosts=" > ".join(tree.hosts))


def _nodes(picture: Picture, screen: Screen, only: str) -> None:
    screen.line()
    screen.line(say("Nodes"), mood="strong")
    rows: list[list[Cell | str]] = []
    for node in picture.nodes:
        if only and node.name != only:
            continue
        rows.append(_node_row(node, picture, screen))
        for link in node.links:
            silent = say("heard {time} ago", time=states.for_how_long(link.silent_s))
            details = [screen.words(silent)] if link.silent_s is not None else []
            if link.rtt_ms is not None:
                details.append(screen.words(say("answers in {rtt_ms:.2f} ms", rtt_ms=link.rtt_ms)))
            if link.loss:
                details.append(screen.words(say("{percent} % lost", percent=f"{100 * link.loss:.2g}")))
            if link.carrier is False:
                details.append(screen.words(_no_carrier(picture, node, link.name)))
            rows.append(
                [
                    "  " + screen.words(say("heartbeat {link}", link=link.name)),
                    states.cell(screen, states.LINK, link.state),
                    " ".join(part for part in (link.nic, link.address) if part),
                    "; ".join(details),
                ]
            )
    screen.table(rows)
    versions = {node.name: node.version for node in picture.nodes if node.version}
    if len(set(versions.values())) > 1:
        told = ", ".join(f"{name} {version}" for name, version in versions.items())
        text = say("The nodes run different versions: {versions}. Upgrade the older one.", versions=told)
        screen.line(text, indent=2, mood="warn")


def _no_carrier(picture: Picture, node: NodeSeen, link: str) -> Text:
    """Tell a cable from an interface: a cable that is out takes the signal from both ends."""
    ends = {other.name: one.carrier for other in picture.nodes for one in other.links if one.name == link}
    others = {name: carrier for name, carrier in ends.items() if name != node.name and carrier is not None}
    if not others:
        return say("no carrier")
    (peer, carrier), *_ = others.items()
    if carrier:
        return say("no carrier here, {peer} has one: look at this interface, and at its cable", peer=peer)
    return say("no carrier at both ends: the cable, or the switch between them")


def _node_row(node: NodeSeen, picture: Picture, screen: Screen) -> list[Cell | str]:
    standing = states.cell(screen, states.STANDING, node.standing)
    if node.us:
        return [
            screen.words(say("{node} (this node)", node=node.name)),
            standing,
            "",
            screen.words(picture.standing_because),
        ]
    health = states.cell(screen, states.HEALTH, node.health)
    return [node.name, health, standing.text if node.standing else "", screen.words(node.health_because)]
