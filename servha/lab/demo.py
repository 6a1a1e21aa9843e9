"""`servha lab demo`: the product doing its one job on two real nodes, while somebody watches.

The nodes are set up with the product's own commands, the ones that the guide on the screen shows; nothing here
reaches past them.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import time
from collections.abc import Callable
from typing import Any

from servha.core.words import Text, say
from servha.lab import probe as probes
from servha.lab.lab import DEFAULT_NAME, Lab
from servha.lab.layout import INTERFACE, NODES, PREFIX, REFERENCE_ADDRESS, VIRTUAL_ADDRESS
from servha.lab.node import Node
from servha.lab.node_disk import APPLICATION, MOUNT_POINT, RECORDS
from servha.lab.probe import Probe
from servha.lab.screen import Screen
from servha.lab.trouble import Exit, LabError

ANSWER_S = 30.0
STANDBY_S = 60.0
CUT_OFF_S = 6.0
"""Longer than the fast profile's lease and everything that waits for it."""
QUORUM_DISK = "/dev/servha/quorum"
DATA_DISK = "/dev/servha/data"
RECORD_PLACES = 256
TREE = "web"
PHRASE_FILE = "/run/cluster-password"
"""The cluster's password: in the node's memory, new with every lab."""


def demo(args: argparse.Namespace, screen: Screen) -> int:
    """Build a lab with a cluster in it; show it until Ctrl-C, or put it through its paces once."""
    began_s = time.monotonic()
    with Lab.up(args.name, profile=args.profile) as lab:
        _tell(screen, say("two nodes, a switch and a client are up"), began_s)
        form_cluster(lab)
        _tell(screen, say("the nodes are a cluster"), began_s)
        if args.quorum:
            share_quorum_disk(lab)
            _tell(screen, say("a quorum disk decides who may run what"), began_s)
        create_tree(lab)
        with probes.running(lab) as probe:
            first = probe.wait_answer(within_s=ANSWER_S)
            _tell(screen, say("{url} is answered by {node}", url=probe.target, node=first.who), began_s)
            if args.once and args.quorum:
                _cut_off(lab, probe, screen, began_s)
            if args.once:
                return _once(lab, probe, screen, began_s)
            _guide(args.name, screen)
            return _watch(lab, probe, screen)


def form_cluster(lab: Lab, *figures: str) -> None:
    """Make node1 and node2 a cluster; `figures` are options of `servha cluster init` beside those of the profile."""
    password = secrets.token_urlsafe(12)
    links = [f"--link={link}={INTERFACE[link]}" for link in ("private", "public")]
    for node in lab.nodes:
        node.service("start", "servhad", within_s=ANSWER_S)
        node.run("sh", "-c", f"umask 077 && cat > {PHRASE_FILE}", feed=password + "\n")
    secret = f"--password-file={PHRASE_FILE}"
    arbitration = ("--arbitration=reference-address", f"--reference={REFERENCE_ADDRESS}")
    lab.node1.run(
        *("servha", "cluster", "init", "--name=demo", "--node=node1", secret),
        *(f"--profile={lab.profile}", *figures, *arbitration, *links),
    )
    first = lab.node1.layout.address("public")
    lab.node2.run("servha", "cluster", "join", first, "--node=node2", secret, *links)


def share_quorum_disk(lab: Lab) -> None:
    """Label the disk that both nodes see, and let it decide from now on."""
    lab.node1.run("servha", "quorum", "label", QUORUM_DISK, "--yes")
    lab.node1.run(
        *("servha", "cluster", "edit", "--arbitration=quorum-disk", f"--quorum-disk={QUORUM_DISK}", "--yes")
    )


def create_tree(lab: Lab, *, on_disk: bool = False) -> None:
    """Put the application and its address into a resource tree and start it.

    `on_disk`: with the shared disk as well, to which the application then writes all the time.
    """
    servha = lab.node1.run
    servha("servha", "tree", "create", TREE, f"--hosts={','.join(NODES)}", "--failback=stay")
    address = f"{VIRTUAL_ADDRESS}/{PREFIX}"
    servha(
        "servha",
        "resource",
        "create",
        f"{TREE}/vip",
        "ipv4",
        f"address={address}",
        f"nic={INTERFACE['public']}",
    )
    after = ["--after=vip"]
    if on_disk:
        make_records(lab.node1)
        disk = (f"device={DATA_DISK}", f"mount_point={MOUNT_POINT}", "filesystem=ext4")
        servha("servha", "resource", "create", f"{TREE}/disk", "shared_disk", *disk)
        after += ["--after=disk"]
    suffix = "-on-disk" if on_disk else ""
    scripts = {"start": f"start{suffix}", "stop": f"stop{suffix}", "test": "test"}
    orders = [f"{order}={APPLICATION / script}" for order, script in scripts.items()]
    servha("servha", "resource", "create", f"{TREE}/app", "custom", *orders, *after)
    servha("servha", "tree", "start", TREE)


def make_records(node: Node) -> None:
    """Make the file to which the application writes, with every block of it on the disk already."""
    fill = f"mount {DATA_DISK} {MOUNT_POINT} && dd if=/dev/zero of={RECORDS} bs=4096 count={RECORD_PLACES} status=none"
    node.run("sh", "-c", f"{fill} conv=fsync && umount {MOUNT_POINT}")


def await_standby(lab: Lab, node: Node, *, within_s: float = STANDBY_S) -> None:
    """Wait until the other node says that `node` could take over.

    Raises:
        LabError: it does not become ready in time; what it lacked is in the message.
    """
    witness = next(other for other in lab.nodes if other is not node)
    seen: dict[str, Any] = {}

    def ready() -> bool:
        answer = witness.run("servha", "status", "-o", "json", check=False)
        seen.clear()
        seen.update(_readiness(json.loads(answer.stdout or "{}"), node.name))
        return seen == {"health": "alive", "standing": "standby", "fitness": "fit"}

    if not _wait(ready, within_s=within_s):
        raise LabError(
            say(
                "{node} has not become a standby within {limit_s} s: {seen}",
                node=node.name,
                limit_s=within_s,
                seen=str(seen),
            ),
            Exit.TIMED_OUT,
        )


def _readiness(status: dict[str, Any], name: str) -> dict[str, Any]:
    node: dict[str, Any] = next((node for node in status.get("nodes", ()) if node.get("name") == name), {})
    tree: dict[str, Any] = next((tree for tree in status.get("trees", ()) if tree.get("name") == TREE), {})
    on = tree.get("phase_by_node", {}).get(name, {})
    return {
        "health": node.get("health"),
        "standing": node.get("standing"),
        "fitness": on.get("fitness"),
    }


def _wait(condition: Callable[[], bool], *, within_s: float, every_s: float = 0.1) -> bool:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every_s)
    return True


def _cut_off(lab: Lab, probe: Probe, screen: Screen, began_s: float) -> None:
    """Cut every link between the nodes, but not the client's: the one that runs it goes on, the other stays down."""
    owner = lab.node(probe.wait_answer(within_s=ANSWER_S).who)
    other = next(node for node in lab.nodes if node is not owner)
    await_standby(lab, other)
    cut_at_s = time.monotonic()
    lab.cut("private")
    lab.cut("public", other.name)
    _tell(screen, say("every link between the nodes is cut; the quorum disk is not"), began_s)
    time.sleep(CUT_OFF_S)
    lab.heal()
    probe.wait_answer(who=owner.name, after_s=time.monotonic(), within_s=ANSWER_S)
    cause = say("{seconds:.0f} s without a heartbeat", seconds=time.monotonic() - cut_at_s)
    _show_blackout(screen, probe, cut_at_s, cause)


def _once(lab: Lab, probe: Probe, screen: Screen, began_s: float) -> int:
    """Power off, reboot, planned move: each must end with an answer."""
    owner = lab.node(probe.wait_answer(within_s=ANSWER_S).who)
    other = next(node for node in lab.nodes if node is not owner)
    await_standby(lab, other)
    dark_at_s = owner.poweroff().dark_at_s
    _tell(screen, say("{node} has lost its power", node=owner.name), began_s)
    probe.wait_answer(who=other.name, after_s=dark_at_s, within_s=ANSWER_S)
    _show_blackout(screen, probe, dark_at_s, say("power-off of {node}", node=owner.name))
    owner.boot()
    await_standby(lab, owner)
    _tell(screen, say("{node} is back and could take over", node=owner.name), began_s)
    asked_at_s = time.monotonic()
    other.run("servha", "tree", "move", TREE, owner.name)
    probe.wait_answer(who=owner.name, after_s=asked_at_s, within_s=ANSWER_S)
    _show_blackout(screen, probe, asked_at_s, say("planned move to {node}", node=owner.name))
    return 0


def _show_blackout(screen: Screen, probe: Probe, since_s: float, cause: Text) -> None:
    later = [one for one in probe.blackouts() if one.end_s is not None and one.end_s > since_s]
    longest_ms = max((one.length_s for one in later), default=0.0) * 1000
    screen.line(
        say("{cause}: nobody answered for {length_ms:.0f} ms", cause=cause, length_ms=longest_ms),
        mood="strong",
    )


def _guide(name: str, screen: Screen) -> None:
    option = "" if name == DEFAULT_NAME else f" --name {name}"
    screen.line()
    screen.line(
        say(
            "A small web application runs on one of the nodes, behind {address}; this machine's own network has "
            "nothing to do with it. Try in another terminal:",
            address=VIRTUAL_ADDRESS,
        )
    )
    for command, what in (
        (f"servha lab client{option} -- curl -s {probes.DEFAULT_URL}", say("ask the application")),
        (f"servha lab exec node2{option} -- servha status", say("what the cluster says")),
        (f"servha lab poweroff node1{option}", say("take node1's power")),
        (f"servha lab exec node2{option} -- servha why {TREE}", say("why node2 took over")),
        (f"servha lab boot node1{option}", say("give it back")),
        (f"servha lab exec node1{option} -- servha tree move {TREE} node1", say("move the application home")),
        (f"servha lab cut private{option}", say("cut the direct cable")),
        (f"servha lab heal{option}", say("mend it")),
    ):
        screen.line(f"{command}", indent=2, mood="strong")
        screen.line(what, indent=6)
    screen.line(say("Ctrl-C ends the demonstration and removes everything."))
    screen.line()


def _watch(lab: Lab, probe: Probe, screen: Screen) -> int:
    """Show one line that is always current, until Ctrl-C."""
    shown = ""
    try:
        while probe.alive:
            line = _now(lab, probe, screen)
            if sys.stdout.isatty():
                print(f"\r\x1b[K{line}", end="", flush=True)
            elif line != shown:
                print(line, flush=True)
            shown = line
            time.sleep(0.25)
    except KeyboardInterrupt:
        print()
    screen.line(say("removing the lab"))
    return 0


def _now(lab: Lab, probe: Probe, screen: Screen) -> str:
    last = probe.last()
    blackouts = [one for one in probe.blackouts() if one.end_s is not None]
    answer = (
        say("answered by {node}", node=last.who)
        if last and last.good
        else say("nobody answers ({why})", why=last.result if last else "-")
    )
    parts = [
        answer,
        *(say("{node} is {power}", node=node.name, power=node.power_in_words) for node in lab.nodes),
    ]
    if blackouts:
        parts.append(say("last blackout {length_ms:.0f} ms", length_ms=blackouts[-1].length_s * 1000))
    return " | ".join(screen.words(part) for part in parts)


def _tell(screen: Screen, what: Text, began_s: float) -> None:
    screen.line(say("{at_s:5.1f} s  {what}", at_s=time.monotonic() - began_s, what=what))
