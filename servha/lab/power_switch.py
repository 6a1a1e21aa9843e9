"""The power switch of a node: a file that says on or off."""

from __future__ import annotations

from servha.lab.layout import NodeLayout


def is_on(node: NodeLayout) -> bool:
    """Whether the node has power; one that was never built has none."""
    try:
        return node.power.read_text(encoding="ascii") == "on"
    except FileNotFoundError:
        return False


def turn(node: NodeLayout, *, on: bool) -> None:
    """Turn the switch; what has to follow is the caller's."""
    node.power.write_text("on" if on else "off", encoding="ascii")
