"""What each verb of `servha lab` does and prints. Options are declared in commands.py."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from typing import Any

from servha.core.words import Text, say
from servha.lab import lab as labs
from servha.lab import probe as probes
from servha.lab.attempts import Blackout
from servha.lab.cuts import Cut
from servha.lab.lab import Lab
from servha.lab.layout import NODES
from servha.lab.node import POWER_IN_WORDS
from servha.lab.screen import Screen
from servha.lab.service import Unit


def up(args: argparse.Namespace, screen: Screen) -> int:
    """Build a lab."""
    began_s = time.monotonic()
    stand_in = [Unit(argv[0].rpartition("/")[2], argv) for argv in (line.split() for line in args.service)]
    services: list[Unit] | None = [] if args.bare else (stand_in or None)
    lab = Lab.up(args.name, services=services, profile=args.profile)
    took = say("lab {name} is up after {took_s:.2f} s", name=lab.name, took_s=time.monotonic() - began_s)
    screen.line(took, mood="good")
    for node in lab.nodes:
        screen.line(
            say(
                "{node}: {public} and {private}; a shell in it: servha lab exec {node}{option} -- bash",
                node=node.name,
                public=node.layout.address("public"),
                private=node.layout.address("private"),
                option=_option(args.name),
            ),
            indent=2,
        )
    return 0


def down(args: argparse.Namespace, screen: Screen) -> int:
    """Remove a lab."""
    lab = Lab.find(args.name)
    lab.down()
    screen.line(say("lab {name} is gone", name=lab.name))
    return 0


def status(args: argparse.Namespace, screen: Screen) -> int:
    """Show a lab."""
    lab = Lab.find(args.name)
    facts = lab.status()
    if screen.json:
        screen.answer(facts)
        return 0
    screen.line(say("lab {name}, in {place}", name=lab.name, place=facts["state_directory"]), mood="strong")
    for name, node in facts["nodes"].items():
        screen.line(_node_line(name, node), indent=2, mood="good" if node["power"] == "on" else "warn")
        for service, its in node["services"].items():
            screen.line(_service_line(service, its), indent=4)
    for cut in facts["cuts"]:
        screen.line(_cut_line(Cut(**cut)), indent=2, mood="warn")
    return 0


def list_(args: argparse.Namespace, screen: Screen) -> int:
    """List all labs of this machine."""
    found = {name: {node.name: node.power for node in Lab(name).nodes} for name in labs.names()}
    if screen.json:
        screen.answer({"labs": [{"name": name, "power": power} for name, power in found.items()]})
        return 0
    for name, power in found.items():
        one, two = (POWER_IN_WORDS[power[node]] for node in NODES)
        screen.line(say("{name}: node1 {one}, node2 {two}", name=name, one=one, two=two))
    if not found:
        screen.line(say("there is no lab; servha lab up makes one"))
    return 0


def poweroff(args: argparse.Namespace, screen: Screen) -> int:
    """Take a node's power."""
    darkness = Lab.find(args.name).node(args.node).poweroff()
    if screen.json:
        facts = {"node": args.node, "dark_at_s": darkness.dark_at_s, "gone_at_s": darkness.gone_at_s}
        screen.answer(facts)
        return 0
    screen.line(
        say(
            "{node} is without power; its links went dark at {dark_at_s:.6f} (CLOCK_MONOTONIC)",
            node=args.node,
            dark_at_s=darkness.dark_at_s,
        )
    )
    return 0


def boot(args: argparse.Namespace, screen: Screen) -> int:
    """Give a node power."""
    Lab.find(args.name).node(args.node).boot()
    screen.line(say("{node} has booted", node=args.node))
    return 0


def freeze(args: argparse.Namespace, screen: Screen) -> int:
    """Stop every process of a node."""
    Lab.find(args.name).node(args.node).freeze()
    screen.line(
        say(
            "{node} stands still; servha lab thaw {node}{option} lets it run on",
            node=args.node,
            option=_option(args.name),
        )
    )
    return 0


def thaw(args: argparse.Namespace, screen: Screen) -> int:
    """Let a node run on."""
    Lab.find(args.name).node(args.node).thaw()
    screen.line(say("{node} runs on", node=args.node))
    return 0


def cut(args: argparse.Namespace, screen: Screen) -> int:
    """Cut a link."""
    lab = Lab.find(args.name)
    lab.cut(args.link, args.node, direction=args.direction, loss_percent=args.loss)
    for name in [args.node] if args.node else NODES:
        screen.line(_cut_line(Cut(args.link, name, args.direction, args.loss)), mood="warn")
    screen.line(say("servha lab heal{option} mends it", option=_option(args.name)))
    return 0


def heal(args: argparse.Namespace, screen: Screen) -> int:
    """Mend every link."""
    Lab.find(args.name).heal()
    screen.line(say("every link is whole"), mood="good")
    return 0


def exec_(args: argparse.Namespace, _: Screen) -> int:
    """Run a program in a node; its exit status is ours."""
    return _become(Lab.find(args.name).node(args.node).command("env", *_own_terminal(), *args.program))


def client(args: argparse.Namespace, _: Screen) -> int:
    """Run a program at the client; its exit status is ours."""
    return _become(Lab.find(args.name).client_command(*args.program))


def service(args: argparse.Namespace, screen: Screen) -> int:
    """Start, stop, restart or show a service of a node."""
    node = Lab.find(args.name).node(args.node)
    answer = node.service(args.order, args.service)
    if screen.json:
        screen.answer({"services": answer})
        return 0
    for name, its in answer.items():
        screen.line(_service_line(name, its))
    return 0


def probe(args: argparse.Namespace, screen: Screen) -> int:
    """Watch from the client, and tell every blackout as it ends."""
    lab = Lab.find(args.name)
    until_s = time.monotonic() + args.for_ if args.for_ else float("inf")
    with probes.running(lab, url=args.url, icmp=args.icmp) as running:
        if not screen.json:
            screen.line(say("the client asks {target}; Ctrl-C ends it", target=running.target))
        told = 0
        try:
            while (left_s := until_s - time.monotonic()) > 0 and running.alive:
                time.sleep(min(left_s, 0.2))
                told += _tell(screen, running.blackouts()[told:], last=False)
        except KeyboardInterrupt:
            pass
    blackouts = running.blackouts()
    if screen.json:
        screen.answer(
            {
                "target": running.target,
                "attempts": len(running.attempts()),
                "answered_by": dict(running.answered_by()),
                "blackouts_ms": [None if b.end_s is None else round(b.length_s * 1000, 1) for b in blackouts],
            }
        )
    else:
        _tell(screen, blackouts[told:], last=True)
        _total(screen, running)
    return 0 if running.answered_by() else 1


def _tell(screen: Screen, blackouts: list[Blackout], *, last: bool) -> int:
    """Print blackouts that have ended, at the very end the open one too; return how many were told."""
    told = 0
    for one in blackouts:
        if one.end_s is None and not last:
            break
        told += 1
        if screen.json:
            continue
        if one.end_s is None:
            screen.line(say("no answer any more, last from {before}", before=one.before or "-"), mood="bad")
        else:
            screen.line(
                say(
                    "no answer for {length_ms:.0f} ms; before {before}, after {after}; {failed} attempts failed",
                    length_ms=one.length_s * 1000,
                    before=one.before or "-",
                    after=one.after or "-",
                    failed=one.failed,
                ),
                mood="warn",
            )
    return told


def _total(screen: Screen, running: probes.Probe) -> None:
    answered = running.answered_by()
    screen.line(
        say(
            "{count} attempts, {good} answered: {who}",
            count=len(running.attempts()),
            good=answered.total(),
            who=", ".join(f"{who or '?'} {count}" for who, count in answered.items()) or "-",
        )
    )


def _node_line(name: str, node: dict[str, Any]) -> Text:
    links = ", ".join(f"{link} {'+' if up else '-'}" for link, up in node["carrier"].items())
    return say(
        "{node} ({power}): {public}, {private}; links with carrier: {links}",
        node=name,
        power=POWER_IN_WORDS[node["power"]],
        public=node["addresses"]["public"],
        private=node["addresses"]["private"],
        links=links or "-",
    )


def _service_line(name: str, its: dict[str, Any]) -> Text:
    return say(
        "{service}: {state}, process {pid}, restarted {restarts} times, last end: {last}. {status}",
        service=name,
        state=its["state"],
        pid=its["pid"] or "-",
        restarts=its["restarts"],
        last=its["last_result"] or "-",
        status=its["status"],
    )


def _cut_line(one: Cut) -> Text:
    sentences = {
        "in": say("{node} hears nothing on link {link}", node=one.node, link=one.link),
        "out": say("{node} is not heard on link {link}", node=one.node, link=one.link),
        "both": say("{node} is cut off from link {link}", node=one.node, link=one.link),
    }
    if one.loss_percent < 100:
        return say(
            "{node} loses {loss} % on link {link}", node=one.node, loss=one.loss_percent, link=one.link
        )
    return sentences[one.direction]


def _option(name: str) -> str:
    return "" if name == labs.DEFAULT_NAME else f" --name {name}"


def _own_terminal() -> list[str]:
    """Settings of the caller's terminal, which a program in the node writes to."""
    wanted = ("TERM", "COLUMNS", "LINES", "LANG", "SERVHA_LANG")
    return [f"{name}={os.environ[name]}" for name in wanted if name in os.environ]


def _become(argv: list[str]) -> int:
    sys.stdout.flush()
    return subprocess.run(argv, check=False).returncode
