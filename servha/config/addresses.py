"""Which addresses a configuration may use: every one once, ends of a link together, references elsewhere.

Only what can be said without looking at the machines: whether an address is there, or already taken on the
wire, is found by the kinds when they start something.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from servha.config.problem import Problem
from servha.config.shape import Document, settings_on
from servha.core.model import Policy
from servha.core.words import Text, say

Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface


def interface(text: object) -> Interface | None:
    """Return the address with its network, or None when `text` is none."""
    try:
        return ipaddress.ip_interface(text) if isinstance(text, str) else None
    except ValueError:
        return None


def address_problems(document: Document) -> Iterator[Problem]:
    """Every heartbeat and virtual address is one, and no two of them are the same."""
    used: dict[str, Text] = {}
    for node in document.nodes:
        for name, end in node.links.items():
            path = f"nodes.{node.name}.links.{name}.address"
            address = interface(end.address)
            if address is None:
                yield _no_address(path, end.address)
                continue
            whose = say("{node}'s address on heartbeat link {link}", node=node.name, link=name)
            yield from _claim(used, path, address, whose)
    yield from _networks(document)
    for tree in document.trees:
        for resource in tree.resources:
            # Whatever kind has a field `address` puts it on an interface; a kind says itself when it is
            # malformed.
            found = {interface(settings_on(resource, host).get("address")) for host in tree.hosts}
            for address in sorted((a for a in found if a is not None), key=str):
                whose = say("the address of resource {tree}/{name}", tree=tree.name, name=resource.name)
                path = f"trees.{tree.name}.resources.{resource.name}.settings.address"
                yield from _claim(used, path, address, whose)


def reference_problems(document: Document) -> Iterator[Problem]:
    """References are addresses of neither node and of no resource; the policy that asks them needs one."""
    own = {
        str(end.ip): node.name
        for node in document.nodes
        for end in node.links.values()
        if interface(end.address)
    }
    virtual = {
        str(address.ip): f"{tree.name}/{resource.name}"
        for tree in document.trees
        for resource in tree.resources
        for host in tree.hosts
        if (address := interface(settings_on(resource, host).get("address"))) is not None
    }
    references = document.cluster.references
    if document.cluster.policy.asks_reference and not references:
        yield Problem(
            "cluster.references",
            say(
                "policy {policy} asks reference addresses, and there is none",
                policy=str(document.cluster.policy),
            ),
            say(
                "name an address outside both nodes that always answers, such as the gateway,"
                " or use policy {other}",
                other=str(Policy.DISK if document.cluster.policy.leased else Policy.NONE),
            ),
        )
    for place, text in enumerate(references):
        path = f"cluster.references[{place}]"
        address = interface(text) if "/" not in text else None
        if address is None:
            yield _no_address(path, text)
        elif str(address.ip) in own:
            yield Problem(
                path,
                say("{address} is node {node} itself", address=text, node=own[str(address.ip)]),
                say("name an address outside both nodes that always answers, such as the gateway"),
            )
        elif str(address.ip) in virtual:
            yield Problem(
                path,
                say(
                    "{address} belongs to resource {name}, which moves",
                    address=text,
                    name=virtual[str(address.ip)],
                ),
                say("name an address outside both nodes that always answers, such as the gateway"),
            )
        elif text in references[:place]:
            yield Problem(path, say("{name} is there twice", name=text), say("remove one of the two"))


def _networks(document: Document) -> Iterator[Problem]:
    """The two ends of a link are in one network: beats live for one hop."""
    if len(document.nodes) != 2:
        return
    one, other = document.nodes
    for name in document.links:
        if name not in one.links or name not in other.links:
            continue
        here, there = interface(one.links[name].address), interface(other.links[name].address)
        if here is None or there is None or here == there:
            continue
        path = f"nodes.{other.name}.links.{name}.address"
        if here.version != there.version:
            yield Problem(
                path,
                say("{here} and {there} are not of the same kind", here=str(here.ip), there=str(there.ip)),
                say("use IPv4 on both ends of the link, or IPv6 on both"),
            )
            continue
        # An address without a prefix length says nothing about its network.
        told = here.network.num_addresses > 1 and there.network.num_addresses > 1
        if told and here.network != there.network:
            yield Problem(
                path,
                say(
                    "{there} of {node} is not in the same network as {here}",
                    there=str(there),
                    node=other.name,
                    here=str(here),
                ),
                say("a heartbeat link joins two addresses of one network: correct one of them"),
            )


def _claim(used: dict[str, Text], path: str, address: Interface, whose: Text) -> Iterator[Problem]:
    key = str(address.ip)
    other = used.setdefault(key, whose)
    if other != whose:
        yield Problem(
            path,
            say("{address} is already {whose}", address=key, whose=other),
            say("every address may be used once: choose another"),
        )
    elif address.ip.is_multicast or address.ip.is_unspecified or address.ip.is_loopback:
        yield Problem(
            path,
            say("{address} cannot be given to an interface", address=key),
            say("use an ordinary address"),
        )


def _no_address(path: str, text: str) -> Problem:
    return Problem(
        path,
        say("{value} is not an IP address", value=repr(text)),
        say("write it as in 192.0.2.10 or 2001:db8::10"),
    )
