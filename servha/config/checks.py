"""Which fields of a document must agree with each other, and what to say when they do not.

Each check looks at one thing and returns everything it finds; CHECKS lists them in the order in which an
administrator wants to read the answers. What a single field may hold is in shape.py; what a kind asks of
its own settings is in kinds.py. `broken` names what was left out because it is wrong itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from servha.config.addresses import address_problems, reference_problems
from servha.config.kinds import settings_problems
from servha.config.problem import Problem, suggestion
from servha.config.shape import (
    FORMAT,
    LINKS_MAX,
    NAME_PATTERN,
    TREES_MAX,
    Document,
    ResourceSection,
    TreeSection,
    settings_on,
)
from servha.core.model import Failback
from servha.core.words import say
from servha.wire.beat import link_tag

Broken = frozenset[str]


def check(document: Document, broken: Broken = frozenset()) -> list[Problem]:
    """Return everything that does not fit together in `document`."""
    return [problem for one in CHECKS for problem in one(document, broken)]


def format_known(document: Document, _broken: Broken) -> Iterator[Problem]:
    """This release must be able to read all of it."""
    if document.format != FORMAT:
        yield Problem(
            "format",
            say("format {format} was written by another release", format=document.format),
            say("this release reads format {known}: install the newer one on both nodes", known=FORMAT),
        )


def nodes_two_and_distinct(document: Document, _broken: Broken) -> Iterator[Problem]:
    """One or two nodes, each with its own name and number."""
    nodes = document.nodes
    if not 1 <= len(nodes) <= 2:
        yield Problem(
            "nodes",
            say("a cluster has one or two nodes, not {count}", count=len(nodes)),
            say("remove a node before another one joins"),
        )
    yield from _twice("nodes", [node.name for node in nodes])
    if len({node.id for node in nodes}) < len(nodes):
        yield Problem(
            "nodes", say("both nodes have the same id"), say("the first node is 0 and the second one 1")
        )


def tokens_distinct(document: Document, _broken: Broken) -> Iterator[Problem]:
    """Each token has its own name."""
    yield from _twice("tokens", [token.name for token in document.tokens])


def links_distinct(document: Document, _broken: Broken) -> Iterator[Problem]:
    """At least one heartbeat link, each with its own name."""
    links = document.links
    if not links:
        yield Problem("links", say("there is no heartbeat link"), say("add at least one, better two"))
    if len(links) > LINKS_MAX:
        yield Problem(
            "links", say("{count} heartbeat links are more than {most}", count=len(links), most=LINKS_MAX)
        )
    yield from _twice("links", links)
    tags: dict[int, str] = {}
    for place, name in enumerate(links):
        if not _is_name(name):
            yield Problem(
                f"links[{place}]",
                say("{value} has a form that is not allowed here", value=repr(name)),
                say("use 1 to 64 letters, digits, _ . and -, beginning with a letter, a digit or _"),
            )
        if tags.setdefault(link_tag(name), name) != name:
            yield Problem(
                f"links[{place}]",
                say("{name} and {other} look the same on the wire", name=name, other=tags[link_tag(name)]),
                say("give one of the two another name"),
            )


def links_on_every_node(document: Document, broken: Broken) -> Iterator[Problem]:
    """Each link has an end on each node."""
    links = document.links
    for node in document.nodes:
        for name in links:
            if name not in node.links and name not in broken:
                yield Problem(
                    f"nodes.{node.name}.links.{name}",
                    say("heartbeat link {link} has no end on {node}", link=name, node=node.name),
                    say("name the interface and address it uses there, or remove the link"),
                )
        for name in node.links:
            if name not in links:
                yield Problem(
                    f"nodes.{node.name}.links.{name}",
                    say("there is no heartbeat link {link}", link=name),
                    suggestion(name, links),
                )


def timing_sound(document: Document, broken: Broken) -> Iterator[Problem]:
    """The heartbeat's figures may be used together."""
    if any(path.startswith("timing") for path in broken):
        return
    for because in document.timing.problems(leased=document.cluster.policy.leased):
        yield Problem("timing", because, say("the profiles manual and fast have figures that fit together"))


def quorum_disk_named(document: Document, broken: Broken) -> Iterator[Problem]:
    """A policy that keeps leases on a quorum disk needs one, and no resource may use the same device."""
    cluster = document.cluster
    if "cluster.quorum_disk" in broken:
        return
    if cluster.policy.leased and not cluster.quorum_disk:
        yield Problem(
            "cluster.quorum_disk",
            say(
                "policy {policy} keeps leases on a quorum disk, and none is named", policy=str(cluster.policy)
            ),
            say("name the device, best one below /dev/disk/by-id, or use policy reference-address"),
        )
    for tree in document.trees if cluster.quorum_disk else ():
        for resource in tree.resources:
            used = [value for host in tree.hosts for value in settings_on(resource, host).values()]
            if cluster.quorum_disk in used:
                yield Problem(
                    f"trees.{tree.name}.resources.{resource.name}.settings",
                    say("{device} is the quorum disk", device=cluster.quorum_disk),
                    say("the quorum disk carries nothing else: name another device"),
                )


def ports_distinct(document: Document, _broken: Broken) -> Iterator[Problem]:
    """No port serves two purposes."""
    ports = document.ports
    for names in (("heartbeat", "discovery"), ("peer", "management", "console")):
        used: dict[int, str] = {}
        for name in names:
            number = getattr(ports, name)
            other = used.setdefault(number, name)
            if other != name:
                yield Problem(
                    f"ports.{name}",
                    say("port {port} is already the {other} port", port=number, other=other),
                    say("choose another number"),
                )


def addresses_distinct(document: Document, _broken: Broken) -> Iterator[Problem]:
    """See addresses.py."""
    yield from address_problems(document)


def references_outside(document: Document, broken: Broken) -> Iterator[Problem]:
    """See addresses.py."""
    if "cluster.references" in broken:
        return
    yield from reference_problems(document)


def trees_distinct(document: Document, _broken: Broken) -> Iterator[Problem]:
    """Not more trees than a beat can carry, each with its own name and number."""
    trees = document.trees
    if len(trees) > TREES_MAX:
        yield Problem(
            "trees",
            say("{count} resource trees are more than {most}", count=len(trees), most=TREES_MAX),
            say("put resources that always move together into one tree"),
        )
    yield from _twice("trees", [tree.name for tree in trees])
    numbers: dict[int, str] = {}
    for tree in trees:
        other = numbers.setdefault(tree.id, tree.name)
        if other != tree.name:
            yield Problem(
                f"trees.{tree.name}.id",
                say("{id} is already the id of tree {other}", id=tree.id, other=other),
                say("choose another number"),
            )


def hosts_are_nodes(document: Document, broken: Broken) -> Iterator[Problem]:
    """A tree runs on nodes of this cluster, and on at least one."""
    names = [node.name for node in document.nodes]
    for tree in document.trees:
        path = f"trees.{tree.name}.hosts"
        if not tree.hosts and path not in broken:
            yield Problem(path, say("the tree may run nowhere"), suggestion("", names))
        yield from _twice(path, tree.hosts)
        for host in tree.hosts:
            if host not in names and host not in broken:
                yield Problem(path, say("there is no node {node}", node=host), suggestion(host, names))


def failback_windows(document: Document, broken: Broken) -> Iterator[Problem]:
    """A tree that goes back within a window has one, and it lasts."""
    for tree in document.trees:
        path = f"trees.{tree.name}.failback_window"
        begins, _, ends = tree.failback_window.partition("-")
        if path in broken or tree.failback is not Failback.WINDOW:
            continue
        if not tree.failback_window:
            yield Problem(
                path,
                say("failback is window, and no window is given"),
                say("write a part of the day such as 01:00-05:00; 23:00-02:00 goes over midnight"),
            )
        elif begins == ends:
            yield Problem(
                path,
                say("{window} begins when it ends", window=tree.failback_window),
                say("for the whole day use failback preferred"),
            )


def resources_fit(document: Document, broken: Broken) -> Iterator[Problem]:
    """Resources have their own names, depend on each other without a circle, and suit their kinds."""
    for tree in document.trees:
        path = f"trees.{tree.name}.resources"
        names = [resource.name for resource in tree.resources]
        yield from _twice(path, names)
        for resource in tree.resources:
            for before in resource.after:
                if before not in names and before not in broken:
                    yield Problem(
                        f"{path}.{resource.name}.after",
                        say("there is no resource {name} in tree {tree}", name=before, tree=tree.name),
                        suggestion(before, [name for name in names if name != resource.name]),
                    )
            yield from settings_problems(tree, resource, f"{path}.{resource.name}")
            yield from hook_problems(resource, f"{path}.{resource.name}")
        circle = _circle(tree)
        if circle:
            yield Problem(
                f"{path}.{circle[0]}.after",
                say("the resources wait for each other: {circle}", circle=" -> ".join(circle)),
                say("take one of these dependencies away"),
            )


def hook_problems(resource: ResourceSection, path: str) -> Iterator[Problem]:
    """A hook is a program by its absolute path, found without a search path or a shell."""
    for name, command in resource.hooks.commands.items():
        if not command[0].startswith("/"):
            yield Problem(
                f"{path}.hooks.{name}",
                say("{path} is not an absolute path", path=command[0]),
                say("write the whole path of the program, such as /opt/app/{name}", name=name),
            )
        if any("\0" in word or "\n" in word for word in command):
            yield Problem(
                f"{path}.hooks.{name}",
                say("a word of the command contains a NUL or a line break"),
                say("put such a text into a script and name that"),
            )


CHECKS: tuple[Callable[[Document, Broken], Iterable[Problem]], ...] = (
    format_known,
    nodes_two_and_distinct,
    links_distinct,
    tokens_distinct,
    links_on_every_node,
    timing_sound,
    ports_distinct,
    addresses_distinct,
    references_outside,
    quorum_disk_named,
    trees_distinct,
    hosts_are_nodes,
    failback_windows,
    resources_fit,
)


def _twice(path: str, names: Iterable[str]) -> Iterator[Problem]:
    seen: set[str] = set()
    told: set[str] = set()
    for name in names:
        if name in seen and name not in told:
            told.add(name)
            yield Problem(
                path, say("{name} is there twice", name=name), say("give one of the two another name")
            )
        seen.add(name)


def _circle(tree: TreeSection) -> list[str]:
    """Return one circle of dependencies, first and last the same; empty when there is none."""
    after = {resource.name: resource.after for resource in tree.resources}
    done: set[str] = set()
    for start, first in after.items():
        trail: list[str] = []
        waiting: list[tuple[str, Iterator[str]]] = [(start, iter(first))]
        while waiting:
            name, rest = waiting[-1]
            if len(trail) < len(waiting):
                trail.append(name)
            following = next((n for n in rest if n in after and n not in done), None)
            if following is None:
                done.add(name)
                waiting.pop()
                trail.pop()
            elif following in trail:
                return [*trail[trail.index(following) :], following]
            else:
                waiting.append((following, iter(after[following])))
    return []


def _is_name(name: str) -> bool:
    return re.fullmatch(NAME_PATTERN.removesuffix("$"), name) is not None
