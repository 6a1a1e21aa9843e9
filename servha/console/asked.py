"""What may be asked of the console's interface, as types: by them a request is checked before servhad sees it.

Whether the values are right is servhad's decision. A field without a default must be given; others may be left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from servha.console.shapes import Between
from servha.core.words import say


@dataclass
class LogIn:
    password: Annotated[str, say("the cluster's password")]
    address: Annotated[
        str, say("IP address of any node, with or without port; empty: the node of this console")
    ] = ""


@dataclass
class Carried:
    ticket: Annotated[str, say("what POST /session/ticket has told, at this console or at the other node's")]


@dataclass
class ChoosePassword:
    old: Annotated[str, say("the password that is good now")]
    new: Annotated[str, say("the password that shall be good from now on")]


@dataclass
class Order:
    verb: Literal["start", "stop", "move", "release"]
    node: Annotated[str, say("where it shall run; empty: the cluster chooses")] = ""
    forced: Annotated[
        bool, say("start although the other node cannot be asked; only a person may say so")
    ] = False
    peer_is_off: Annotated[str, say("name of the other node, by which a person vouches that it is off")] = ""


@dataclass
class Change:
    document: Annotated[dict[str, Any], say("the whole configuration as it shall be")]
    base_generation: Annotated[
        int, Between(0, 2**53), say("generation of the configuration it was made from")
    ]
    dry_run: Annotated[bool, say("say what would change, and change nothing")] = False
    alone: Annotated[bool, say("change it here although the other node cannot be asked")] = False


@dataclass
class Maintain:
    scope: Literal["tree", "resource", "node"]
    name: Annotated[str, say("name of the tree or node; of a resource TREE/RESOURCE")]
    reason: Annotated[str, say("what everybody who looks at it will read")]
    for_s: Annotated[
        int, Between(0, 366 * 86400), say("seconds after which it ends by itself; 0: when somebody ends it")
    ] = 0


@dataclass
class Found:
    node: Annotated[str, say("name of this node")]
    name: Annotated[str, say("name of the cluster")] = ""
    description: str = ""
    password: Annotated[str, say("the cluster's password; empty: the one that is good now")] = ""
    links: Annotated[dict[str, Any], say("heartbeat links: name to `nic` and `address`")] = field(
        default_factory=dict
    )
    order: Annotated[list[str], say("names of the heartbeat links, the preferred one first")] = field(
        default_factory=list
    )
    timing: dict[str, Any] = field(default_factory=dict)
    policy: Annotated[str, say("arbitration policy")] = ""
    references: Annotated[list[str], say("reference addresses, such as the gateway's")] = field(
        default_factory=list
    )
    quorum_disk: Annotated[str, say("path of the quorum disk")] = ""
    language: Annotated[str, say("default language: zh-CN or en")] = ""
    ports: dict[str, Any] = field(default_factory=dict)
    dry_run: Annotated[bool, say("say what would change, and change nothing")] = False


@dataclass
class Join:
    node: Annotated[str, say("name of this node")]
    address: Annotated[str, say("IP address of the node that is in the cluster already")]
    port: Annotated[int, Between(1, 65535), say("its management port")] = 25792
    description: str = ""
    password: Annotated[str, say("the cluster's password; or a code in its place")] = ""
    code: Annotated[str, say("a join code that the other node has made")] = ""
    links: Annotated[dict[str, Any], say("heartbeat links: name to `nic` and `address`")] = field(
        default_factory=dict
    )
    dry_run: Annotated[bool, say("say what would change, and change nothing")] = False


@dataclass
class Page:
    since: Annotated[int, Between(0, 2**53), say("number of the last entry that is known already")] = 0
    limit: Annotated[
        int, Between(1, 1000), say("how many entries at most: the newest, or with `since` the next ones")
    ] = 200


@dataclass
class OfTree:
    tree: Annotated[str, say("name of a tree; empty: everything")] = ""


@dataclass
class Step:
    do: Literal[
        "wait", "poweroff", "boot", "cable", "links", "disk", "disks", "daemon", "break", "move", "heal"
    ]
    wait_s: Annotated[int, Between(1, 600), say("seconds until the next step")]
    node: Annotated[str, say("the node that it is about, where it is about one")] = ""
    tree: Annotated[str, say("the tree that it is about, where it is about one")] = ""
    resource: Annotated[str, say("the resource that stops by itself")] = ""


@dataclass
class Simulate:
    steps: Annotated[list[Step], say("what happens, one after the other")]
