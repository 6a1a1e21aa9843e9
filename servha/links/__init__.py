"""Paths that heartbeats take. One file for each kind; a link moves bytes and never looks into them."""

from __future__ import annotations

from servha.links.udp import UdpLink

LINK_KINDS = (UdpLink,)
