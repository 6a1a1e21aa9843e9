"""`servha cluster`: make a cluster, join it, look at and replace its configuration as a whole.

Decides which questions the command line asks before it hands them to servhad, which decides the rest.
"""

from __future__ import annotations

import argparse
import socket

from servha.cli import cluster_edit, cluster_file, cluster_wipe, exits, states
from servha.cli.client import Client, NotRunning
from servha.cli.grammar import Place, Verb
from servha.cli.heartbeat import FIGURES
from servha.cli.nics import ends_of, nics_here
from servha.cli.passwords import INITIAL, password_from
from servha.cli.screen import Cell, Screen
from servha.core.timing import PROFILES, Timing
from servha.core.words import Text, say
from servha.language import LANGUAGES
from servha.wire.rpc import Code, Problem, Refusal

INIT_WITHIN_S = 120.0


def add(place: Place) -> None:
    """Declare the verbs of `servha cluster`."""
    verbs = place.noun("cluster", say("make a cluster, join it, change it as a whole"))
    _add_init(verbs)
    _add_join(verbs)
    invite_verb = verbs.verb(
        "invite",
        invite,
        say("make a code with which the second node may join once"),
        example="servha cluster invite",
        codes=(exits.OK, exits.NOT_RUNNING, exits.REFUSED),
        more=say("The code is valid for ten minutes and replaces the password."),
    )
    invite_verb.output()
    password = verbs.verb(
        "password",
        set_password,
        say("change the cluster's password"),
        example="servha cluster password --password-file /root/new-password",
        codes=(exits.OK, exits.NOT_RUNNING, exits.TRY_AGAIN),
    )
    _password_option(password)
    verbs.verb(
        "adopt",
        adopt,
        say("take over the other node's configuration where both were changed apart"),
        example="servha cluster adopt",
        codes=(exits.OK, exits.NOT_RUNNING, exits.REFUSED, exits.TRY_AGAIN),
        more=say(
            "What was changed on this node meanwhile is lost; `servha cluster export` keeps it in a file first."
        ),
    ).output()
    cluster_edit.add(verbs)
    cluster_file.add(verbs)
    cluster_wipe.add(verbs)


def _add_init(verbs: Place) -> None:
    verb = verbs.verb(
        "init",
        init,
        say("make a cluster of which this is the first node"),
        example=(
            "servha cluster init --name demo --link private=eth2 --link public=eth1",
            "servha cluster init --name demo --node node1 --password-file F --profile fast \\",
            "    --arbitration reference-address --reference 192.0.2.254 --link private=eth2 --link public=eth1",
        ),
        codes=(
            exits.OK,
            exits.FAILED,
            exits.USAGE,
            exits.NOT_RUNNING,
            exits.NO_SUCH,
            exits.EXISTS,
            exits.BAD_CONFIGURATION,
        ),
    )
    verb.option("--name", metavar="NAME", required=True, text=say("name of the cluster"))
    _node_options(verb)
    _link_option(verb, required=True)
    _password_option(verb)
    verb.option(
        "--profile",
        choices=tuple(PROFILES),
        default="manual",
        text=say("heartbeat figures: manual (dead after 7.4 s, the default) or fast (0.32 s)"),
    )
    for figure, text in FIGURES:
        verb.option("--" + figure.replace("_", "-"), metavar="N", type=int, text=text)
    verb.option("--heartbeat-port", metavar="PORT", type=int, text=say("UDP port of the heartbeats (14338)"))
    verb.option(
        "--arbitration",
        choices=tuple(states.POLICY),
        text=say("who breaks the tie when the nodes lose each other; none: nobody takes over by itself then"),
    )
    verb.option(
        "--reference",
        metavar="ADDRESS",
        action="append",
        default=[],
        text=say("address that is always there, such as the gateway; may be given again, or with commas"),
    )
    verb.option("--language", choices=LANGUAGES, text=say("language of what the cluster itself sends out"))
    verb.option("--dry-run", action="store_true", text=say("show the plan and change nothing"))


def _add_join(verbs: Place) -> None:
    verb = verbs.verb(
        "join",
        join,
        say("join this node to the cluster of another node"),
        example=(
            "servha cluster join 192.0.2.1 --node node2 --link private=eth2 --link public=eth1",
            "servha cluster join 192.0.2.1 --code CODE --link private=eth2 --link public=eth1",
        ),
        codes=(
            exits.OK,
            exits.FAILED,
            exits.USAGE,
            exits.NOT_RUNNING,
            exits.NO_SUCH,
            exits.EXISTS,
            exits.TRY_AGAIN,
            exits.NOT_PERMITTED,
        ),
        more=say(
            "A heartbeat that is not given is paired with the only interface of this node in the same network."
        ),
    )
    verb.what("address", say("an address of the first node, not of this one"), metavar="ADDRESS")
    _node_options(verb)
    _link_option(verb, required=False)
    _password_option(verb)
    verb.option(
        "--code", metavar="CODE", text=say("code from `servha cluster invite`, instead of the password")
    )
    verb.option("--dry-run", action="store_true", text=say("show the plan and change nothing"))


def _node_options(verb: Verb) -> None:
    verb.option(
        "--node",
        metavar="NAME",
        default=socket.gethostname().split(".")[0],
        text=say("name of this node in it"),
    )
    verb.option("--description", metavar="WORDS", default="", text=say("a few words about this node"))
    verb.output()


def _link_option(verb: Verb, *, required: bool) -> None:
    verb.option(
        "--link",
        metavar="NAME=NIC[:ADDRESS]",
        action="append",
        default=[],
        required=required,
        text=say(
            "heartbeat over this interface; the first given is preferred; without ADDRESS the NIC's only"
            " static IPv4 is taken"
        ),
    )


def _password_option(verb: Verb) -> None:
    verb.option(
        "--password-file",
        metavar="FILE",
        text=say("the password is the first line of this file; - is standard input"),
    )


def init(args: argparse.Namespace, screen: Screen) -> int:
    """Ask servhad to make the cluster."""
    timing = _timing(args)
    references = [one.strip() for word in args.reference for one in word.split(",") if one.strip()]
    policy = args.arbitration or ("reference-address" if references else "none")
    if policy == "reference-address" and not references:
        raise Refusal(
            Code.USAGE,
            say(
                "--arbitration reference-address needs --reference ADDRESS: one that is always there, such as the"
                " gateway"
            ),
        )
    ends = ends_of(args.link, nics_here())
    password = password_from(args.password_file, screen, twice=True, initial_allowed=True)
    rows: list[list[Cell | str]] = [
        [screen.words(say("cluster")), args.name],
        [screen.words(say("node")), args.node],
        *_link_rows(ends, screen),
        [
            screen.words(say("timing")),
            screen.words(
                say(
                    "a beat every {interval_ms} ms; a link is dead after {dead_s:.2f} s of silence; first start"
                    " waits {first_s:.1f} s",
                    interval_ms=timing.interval_ms,
                    dead_s=timing.dead_s,
                    first_s=timing.first_start_s,
                )
            ),
        ],
        [
            screen.words(say("arbitration")),
            " ".join([states.cell(screen, states.POLICY, policy).text, *references]),
        ],
    ]
    _plan(screen, say("A new cluster:"), rows)
    if args.dry_run:
        return exits.OK
    figures = {name: getattr(timing, name) for name, _ in FIGURES}
    asked: dict[str, object] = {
        "name": args.name,
        "node": args.node,
        "description": args.description,
        "password": password,
        "links": ends,
        "timing": figures,
        "policy": policy,
        "references": references,
        "language": args.language or screen.language,
    }
    if args.heartbeat_port is not None:
        asked["ports"] = {"heartbeat": args.heartbeat_port}
    with Client() as client:
        result = client.call("cluster.init", within_s=INIT_WITHIN_S, **asked)
    if screen.json:
        screen.answer(result)
        return exits.OK
    screen.line(
        say("Cluster {name} exists; {node} is its first node.", name=args.name, node=args.node), mood="good"
    )
    if password == INITIAL:
        screen.line(
            say(
                "The password is still the initial one, 1: `servha cluster password` before another node joins."
            ),
            mood="warn",
        )
    here = next(iter(ends.values()))["address"].split("/")[0]
    links = " ".join(f"--link {link}=NIC" for link in ends)
    screen.line(
        say("Next, on the other node: {command}", command=f"servha cluster join {here} --node NAME {links}")
    )
    screen.line(
        say("To undo: {command}", command=f"systemctl stop servhad && servha cluster wipe --node {args.node}")
    )
    return exits.OK


def join(args: argparse.Namespace, screen: Screen) -> int:
    """Ask our servhad to join the cluster of another node."""
    _refuse_in_a_cluster()
    ends = ends_of(args.link, nics_here())
    rows: list[list[Cell | str]] = [
        [screen.words(say("first node")), args.address],
        [screen.words(say("this node")), args.node],
        *_link_rows(ends, screen),
    ]
    _plan(screen, say("Join a cluster:"), rows)
    if args.dry_run:
        return exits.OK
    asked: dict[str, object] = {
        "address": args.address,
        "node": args.node,
        "description": args.description,
        "links": ends,
    }
    if args.code:
        asked["code"] = args.code
    else:
        asked["password"] = password_from(args.password_file, screen, twice=False, initial_allowed=False)
    with Client() as client:
        result = client.call("cluster.join", within_s=INIT_WITHIN_S, **asked)
    if screen.json:
        screen.answer(result)
        return exits.OK
    screen.line(say("{node} has joined the cluster.", node=args.node), mood="good")
    screen.line(say("Next: `servha status` on either node shows both."))
    screen.line(say("To undo: {command}", command=f"servha node remove-offline {args.node}"))
    return exits.OK


def _refuse_in_a_cluster() -> None:
    """Say so before anything is asked of the user, not after."""
    try:
        with Client() as client:
            known = client.call("config.get")
    except (Refusal, NotRunning):
        return  # whoever is asked to join says what is wrong
    name = known.get("document", {}).get("cluster", {}).get("name", "") if isinstance(known, dict) else ""
    if not name:
        return
    raise Refusal(
        Code.EXISTS,
        say(
            "this node is already in cluster {cluster}: `servha cluster wipe` takes it out first",
            cluster=name,
        ),
    )


def invite(args: argparse.Namespace, screen: Screen) -> int:
    """Ask for a join code and show it."""
    del args
    with Client() as client:
        result = client.call("cluster.invite")
    if screen.json:
        screen.answer(result)
        return exits.OK
    code = result.get("code", "") if isinstance(result, dict) else str(result)
    print(code, file=screen.out)
    screen.line(say("Valid once, for ten minutes. On the other node:"))
    screen.line(f"servha cluster join ADDRESS --code {code} --link NAME=NIC", indent=2)
    return exits.OK


def set_password(args: argparse.Namespace, screen: Screen) -> int:
    """Choose another password."""
    password = password_from(args.password_file, screen, twice=True, initial_allowed=False)
    with Client() as client:
        client.call("cluster.password", password=password)
    screen.line(say("The password is changed, on both nodes."), mood="good")
    return exits.OK


def adopt(args: argparse.Namespace, screen: Screen) -> int:
    """Replace this node's configuration by the peer's."""
    del args
    with Client() as client:
        result = client.call("cluster.adopt")
    if screen.json:
        screen.answer(result)
    else:
        screen.line(say("This node has the configuration of the other one now."), mood="good")
        screen.line(say("To undo: {command}", command="servha cluster apply FILE"))
    return exits.OK


def _timing(args: argparse.Namespace) -> Timing:
    base = PROFILES[args.profile]
    given = {name: getattr(args, name) for name, _ in FIGURES if getattr(args, name) is not None}
    timing = Timing(**{**{name: getattr(base, name) for name, _ in FIGURES}, **given})
    problems = timing.problems()
    if problems:
        raise Refusal(
            Code.BAD_CONFIGURATION,
            say("nothing was changed; problems: {count}", count=len(problems)),
            [Problem("timing", text) for text in problems],
        )
    return timing


def _link_rows(ends: dict[str, dict[str, str]], screen: Screen) -> list[list[Cell | str]]:
    return [
        [screen.words(say("heartbeat {link}", link=link)), f"{end['nic']} {end['address']}"]
        for link, end in ends.items()
    ]


def _plan(screen: Screen, title: Text, rows: list[list[Cell | str]]) -> None:
    if screen.json:
        return
    screen.line(title, mood="strong")
    screen.table(rows)
