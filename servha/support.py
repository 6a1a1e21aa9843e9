"""The support bundle: what somebody needs who is to find out from afar what happened, in one file, without secrets.

Decides what is in it: nothing by which the cluster proves anything, but names, addresses, and arguments of scripts.
What cannot be had stands in it as the reason why, and nothing is asked for longer than the asker allows.
"""

from __future__ import annotations

import io
import json
import platform
import tarfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import servha
from servha.core.words import Text, say

JOURNAL_ENTRIES: Final = 1000
SECRET: Final = ("password", "tokens")
UNREADABLE_OUTSIDE: Final = ("certificate", "certificate_sha256")
Ask = Callable[..., Any]

PARTS: Final[tuple[tuple[str, Text, str, Mapping[str, Any]], ...]] = (
    ("status.json", say("the cluster as this node sees it, with the other node's part"), "status", {}),
    ("why.json", say("the journals of both nodes, and what each tree waits for"), "why", {}),
    ("journal.json", say("the last entries of this node"), "journal", {"limit": JOURNAL_ENTRIES}),
    ("quality.json", say("the last hour of links and quorum disk"), "quality", {}),
    ("config.json", say("the configuration without password, tokens and certificates"), "config.get", {}),
    ("metrics.txt", say("figures for Prometheus"), "metrics", {}),
)


def contents() -> list[tuple[str, Text]]:
    """Return the name of each file in the bundle and what it holds."""
    return [
        *((name, about) for name, about, _, _ in PARTS),
        ("versions.json", say("releases and the kernel's")),
    ]


def pack(
    ask: Ask, render: Callable[[Text], str], failures: tuple[type[Exception], ...], *, at_s: float
) -> bytes:
    """Return the bundle as .tar.gz. `ask` puts a verb to servhad; what it raises of `failures` becomes part of it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in _files(ask, render, failures):
            member = tarfile.TarInfo(f"servha-support/{name}")
            member.size, member.mtime, member.mode = len(content), int(at_s), 0o644
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def _files(
    ask: Ask, render: Callable[[Text], str], failures: tuple[type[Exception], ...]
) -> Iterator[tuple[str, bytes]]:
    yield "README.txt", "".join(f"{name}: {render(about)}\n" for name, about in contents()).encode()
    for name, _, verb, args in PARTS:
        try:
            told = ask(verb, **args)
        except failures as failure:
            yield f"{name}.missing.txt", f"{verb}: {failure}\n".encode()
            continue
        if verb == "metrics":
            yield name, str(told["text"]).encode()
        else:
            yield name, _as_text(without_secrets(told))
    versions = {
        "servha": servha.__version__,
        "python": platform.python_version(),
        "kernel": platform.release(),
    }
    yield "versions.json", _as_text(versions)


def _as_text(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode() + b"\n"


def without_secrets(value: Any) -> Any:
    """Return plain data without passwords, tokens and certificates.

    >>> without_secrets({"document": {"password": {"hash": "x"}, "nodes": [{"name": "a", "certificate": "y"}]}})
    {'document': {'nodes': [{'name': 'a'}]}}
    """
    if isinstance(value, Mapping):
        return {
            key: without_secrets(inner)
            for key, inner in value.items()
            if key not in SECRET and key not in UNREADABLE_OUTSIDE
        }
    if isinstance(value, list | tuple):
        return [without_secrets(inner) for inner in value]
    return value
