"""`servha cluster`: make a cluster, join it, look at and replace its configuration as a whole.

Decides which questions the command line asks before it hands them to servhad, which decides the rest.
"""

from __future__ import annotations

import argparse

from servha.cli import cluster_edit, cluster_file, cluster_init, cluster_wipe, exits
from servha.cli.cluster_init import (
    INIT_WITHIN_S,
    Rows,
    link_option,
    link_rows,
    node_options,
    password_option,
    show_plan,
)
from servha.cli.grammar import Place
from servha.cli.nics import ends_of, nics_here
from servha.cli.passwords import password_from
from servha.cli.screen import Screen
from servha.core.words import say
from servha.management import Client, NotRunning
from servha.wire.rpc import Code, Refusal


def add(place: Place) -> None:
    """Declare the verbs of `servha cluster`."""
    verbs = place.noun("cluster", say("make a cluster, join it, change it as a whole"))
    cluster_init.add(verbs)
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
    password_option(password)
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
    node_options(verb)
    link_option(verb, required=False)
    password_option(verb)
    verb.option(
        "--code", metavar="CODE", text=say("code from `servha cluster invite`, instead of the password")
    )
    verb.option("--dry-run", action="store_true", text=say("show the plan and change nothing"))


def join(args: argparse.Namespace, screen: Screen) -> int:
    """Ask our servhad to join the cluster of another node."""
    _refuse_in_a_cluster()
    ends = ends_of(args.link, nics_here())
    rows: Rows = [
        [screen.words(say("first node")), args.address],
        [screen.words(say("this node")), args.node],
        *link_rows(ends, screen),
    ]
    show_plan(screen, say("Join a cluster:"), rows)
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
