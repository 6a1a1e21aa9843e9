"""`servha cluster init`: the wizard's questions as options, the plan, and the request to servhad.

Decides which questions a first node is asked, and refuses what servhad would refuse anyway before a password is
asked for. What `join` asks as well is declared here, too.
"""

from __future__ import annotations

import argparse
import socket
from typing import Final

from servha.cli import exits, states
from servha.cli.grammar import Place, Verb
from servha.cli.heartbeat import FIGURES
from servha.cli.nics import ends_of, nics_here
from servha.cli.passwords import INITIAL, password_from
from servha.cli.screen import Cell, Screen
from servha.core.model import Policy
from servha.core.timing import PROFILES, Timing
from servha.core.words import Text, say
from servha.language import LANGUAGES
from servha.management import Client
from servha.wire.rpc import Code, Problem, Refusal

INIT_WITHIN_S: Final = 120.0

Rows = list[list[Cell | str]]


def add(verbs: Place) -> None:
    """Declare `servha cluster init`."""
    verb = verbs.verb(
        "init",
        init,
        say("make a cluster of which this is the first node"),
        example=(
            "servha cluster init --name demo --link private=eth2 --link public=eth1",
            "servha cluster init --name demo --node node1 --password-file F --profile fast \\",
            "    --arbitration reference-address --reference 192.0.2.254 --link private=eth2 --link public=eth1",
            "servha cluster init --name demo --arbitration quorum-disk \\",
            "    --quorum-disk /dev/disk/by-id/wwn-0x60080e50002a3f --link private=eth2 --link public=eth1",
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
    node_options(verb)
    link_option(verb, required=True)
    password_option(verb)
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
    verb.option(
        "--quorum-disk",
        metavar="DEVICE",
        default="",
        text=say("disk that both nodes see, best by a name below /dev/disk/by-id"),
    )
    verb.option("--language", choices=LANGUAGES, text=say("language of what the cluster itself sends out"))
    verb.option("--dry-run", action="store_true", text=say("show the plan and change nothing"))


def node_options(verb: Verb) -> None:
    """Declare what is asked about this node."""
    verb.option(
        "--node",
        metavar="NAME",
        default=socket.gethostname().split(".")[0],
        text=say("name of this node in it"),
    )
    verb.option("--description", metavar="WORDS", default="", text=say("a few words about this node"))
    verb.output()


def link_option(verb: Verb, *, required: bool) -> None:
    """Declare `--link`."""
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


def password_option(verb: Verb) -> None:
    """Declare `--password-file`."""
    verb.option(
        "--password-file",
        metavar="FILE",
        text=say("the password is the first line of this file; - is standard input"),
    )


def init(args: argparse.Namespace, screen: Screen) -> int:
    """Ask servhad to make the cluster."""
    references = [one.strip() for word in args.reference for one in word.split(",") if one.strip()]
    policy = _policy(args, references)
    timing = _timing(args, policy)
    ends = ends_of(args.link, nics_here())
    password = password_from(args.password_file, screen, twice=True, initial_allowed=True)
    rows: Rows = [
        [screen.words(say("cluster")), args.name],
        [screen.words(say("node")), args.node],
        *link_rows(ends, screen),
        *_timing_rows(timing, screen),
        *_arbitration_rows(policy, references, args.quorum_disk, timing, screen),
    ]
    show_plan(screen, say("A new cluster:"), rows)
    if args.dry_run:
        return exits.OK
    asked: dict[str, object] = {
        "name": args.name,
        "node": args.node,
        "description": args.description,
        "password": password,
        "links": ends,
        "timing": {name: getattr(timing, name) for name, _ in FIGURES},
        "policy": str(policy),
        "references": references,
        "language": args.language or screen.language,
    }
    if args.quorum_disk:
        asked["quorum_disk"] = args.quorum_disk
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
    if policy.leased:
        command = f"servha quorum label {args.quorum_disk}"
        screen.line(say("Next, once, on this node: {command}", command=command))
    here = next(iter(ends.values()))["address"].split("/")[0]
    links = " ".join(f"--link {link}=NIC" for link in ends)
    screen.line(
        say("Next, on the other node: {command}", command=f"servha cluster join {here} --node NAME {links}")
    )
    screen.line(
        say("To undo: {command}", command=f"systemctl stop servhad && servha cluster wipe --node {args.node}")
    )
    return exits.OK


def _policy(args: argparse.Namespace, references: list[str]) -> Policy:
    """Return the policy asked for, or the one that uses what was given; refuse one that lacks something."""
    given = {
        (True, True): Policy.BOTH,
        (True, False): Policy.REFERENCE,
        (False, True): Policy.DISK,
        (False, False): Policy.NONE,
    }[bool(references), bool(args.quorum_disk)]
    policy = Policy(args.arbitration) if args.arbitration else given
    if policy.asks_reference and not references:
        raise Refusal(
            Code.USAGE,
            say(
                "--arbitration {policy} needs --reference ADDRESS: one that is always there, such as the gateway",
                policy=str(policy),
            ),
        )
    if policy.leased and not args.quorum_disk:
        raise Refusal(
            Code.USAGE,
            say(
                "--arbitration {policy} needs --quorum-disk DEVICE: a disk of its own that both nodes see",
                policy=str(policy),
            ),
        )
    return policy


def _timing(args: argparse.Namespace, policy: Policy) -> Timing:
    base = PROFILES[args.profile]
    given = {name: getattr(args, name) for name, _ in FIGURES if getattr(args, name) is not None}
    timing = Timing(**{**{name: getattr(base, name) for name, _ in FIGURES}, **given})
    problems = timing.problems(leased=policy.leased)
    if problems:
        raise Refusal(
            Code.BAD_CONFIGURATION,
            say("nothing was changed; problems: {count}", count=len(problems)),
            [Problem("timing", text) for text in problems],
        )
    return timing


def _timing_rows(timing: Timing, screen: Screen) -> Rows:
    told = say(
        "a beat every {interval_ms} ms; a link is dead after {dead_s:.2f} s of silence; first start waits"
        " {first_s:.1f} s",
        interval_ms=timing.interval_ms,
        dead_s=timing.dead_s,
        first_s=timing.first_start_s,
    )
    return [[screen.words(say("timing")), screen.words(told)]]


def _arbitration_rows(
    policy: Policy, references: list[str], device: str, timing: Timing, screen: Screen
) -> Rows:
    from servha.config.notes import disk_notes, lease_note  # noqa: PLC0415

    words = [states.cell(screen, states.POLICY, policy).text, *references, *([device] if device else [])]
    rows: Rows = [[screen.words(say("arbitration")), " ".join(words)]]
    if policy.leased:
        rows.append([screen.words(say("lease")), screen.words(lease_note(timing))])
    rows += [
        [screen.words(say("note")), Cell(screen.words(note), "warn")] for note in disk_notes(policy, device)
    ]
    return rows


def link_rows(ends: dict[str, dict[str, str]], screen: Screen) -> Rows:
    """Return a row of the plan for each heartbeat link."""
    return [
        [screen.words(say("heartbeat {link}", link=link)), f"{end['nic']} {end['address']}"]
        for link, end in ends.items()
    ]


def show_plan(screen: Screen, title: Text, rows: Rows) -> None:
    """Show the plan to people."""
    if screen.json:
        return
    screen.line(title, mood="strong")
    screen.table(rows)
