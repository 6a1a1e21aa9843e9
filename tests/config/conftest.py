"""One sound configuration, as data, for every test of this folder to damage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from servha.config.document import Document, parse


def sound_data() -> dict[str, Any]:
    return {
        "format": 1,
        "generation": 4,
        "parent_digest": "0" * 64,
        "cluster": {
            "name": "demo",
            "id": "ab" * 16,
            "policy": "reference-address",
            "references": ["192.0.2.254"],
            "language": "zh-CN",
        },
        "nodes": [
            {
                "name": f"node{number}",
                "id": number - 1,
                "links": {
                    "private": {"nic": "priv0", "address": f"10.0.0.{number}/24"},
                    "public": {"nic": "pub0", "address": f"192.0.2.{number}/24"},
                },
            }
            for number in (1, 2)
        ],
        "links": ["private", "public"],
        "trees": [
            {
                "name": "web",
                "id": 1,
                "hosts": ["node1", "node2"],
                "resources": [
                    {
                        "name": "vip",
                        "kind": "ipv4",
                        "settings": {"address": "192.0.2.100/24", "nic": "pub0"},
                        "per_node": {"node2": {"nic": "ens3"}},
                    },
                    {
                        "name": "app",
                        "kind": "custom",
                        "after": ["vip"],
                        "settings": {"start_script": "/opt/demo/start", "stop_script": "/opt/demo/stop"},
                        "detectors": [{"kind": "port", "port": 80}],
                    },
                ],
            }
        ],
        "password": {"salt": "00ff", "hash": "ee11", "initial": True},
    }


@pytest.fixture
def data() -> dict[str, Any]:
    return sound_data()


@pytest.fixture
def document() -> Document:
    found, problems = parse(sound_data())
    assert found is not None, problems
    return found


@pytest.fixture
def problems_of() -> Callable[[object], list[str]]:
    def judged(raw: object) -> list[str]:
        found, problems = parse(raw)
        assert (found is None) == bool(problems)
        return [str(problem) for problem in problems]

    return judged
