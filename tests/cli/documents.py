"""A small valid configuration as data."""

from __future__ import annotations

from typing import Any


def document(generation: int = 7) -> dict[str, Any]:
    return {
        "format": 1,
        "generation": generation,
        "parent_digest": "",
        "cluster": {
            "name": "demo",
            "id": "0123456789abcdef" * 2,
            "policy": "reference-address",
            "references": ["192.0.2.254"],
            "language": "en",
        },
        "nodes": [
            {
                "name": f"node{n}",
                "id": n - 1,
                "links": {
                    "private": {"nic": "priv0", "address": f"198.51.100.{n}/24"},
                    "public": {"nic": "pub0", "address": f"192.0.2.{n}/24"},
                },
            }
            for n in (1, 2)
        ],
        "links": ["private", "public"],
        "trees": [
            {
                "name": "web",
                "id": 1,
                "hosts": ["node1", "node2"],
                "resources": [
                    {"name": "vip", "kind": "ipv4", "settings": {"address": "192.0.2.100/24", "nic": "pub0"}}
                ],
            }
        ],
    }
