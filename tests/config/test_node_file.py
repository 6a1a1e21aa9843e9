"""A node's own file: absent is fine, wrong is named, and what both nodes share does not belong there."""

from __future__ import annotations

from pathlib import Path

import pytest

from servha.config.node_file import NodeFile, load, parse
from servha.config.shape import Ports


def test_a_missing_file_means_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path / "servha.toml") == (NodeFile(), [])


def test_settings_are_read(tmp_path: Path) -> None:
    path = tmp_path / "servha.toml"
    path.write_text('name = "node1"\n[directories]\nstate = "/srv/servha"\n[ports]\nconsole = 8443\n')
    found, problems = load(path)
    assert problems == []
    assert found is not None
    assert (found.name, found.directories.state) == ("node1", "/srv/servha")
    assert found.ports_of(Ports()) == Ports(console=8443)


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        (b"nam = 'x'", "nam: is not a known setting; did you mean name?"),
        (b"name = 'a b'", "name: 'a b' has a form that is not allowed here; use 1 to 64 letters"),
        (b"name = 3", "name: must be text, not a whole number"),
        (
            b"[directories]\nstate = 'here'",
            "directories.state: 'here' has a form that is not allowed here; write an",
        ),
        (b"[ports]\nconsole = 0", "ports.console: 0 is too small: at least 1"),
        (
            b"[ports]\nheartbeat = 1",
            "ports.heartbeat: is not a known setting; both nodes share this setting: change",
        ),
        (b"links = []", "links: is not a known setting; both nodes share this setting: change it with"),
        (
            b"name = ",
            "/etc/servha/servha.toml: is not TOML: Invalid value (at end of document); correct that line",
        ),
        (b"\xff", "/etc/servha/servha.toml: is not TOML: "),
        (
            b"#" * 300_000,
            "/etc/servha/servha.toml: 300000 bytes are more than 262144; is this the right file?",
        ),
    ],
)
def test_each_mistake_is_named(content: bytes, answer: str) -> None:
    found, problems = parse(content)
    assert found is None
    assert any(str(problem).startswith(answer) for problem in problems), [str(p) for p in problems]


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    found, (problem,) = load(tmp_path)
    assert found is None
    assert str(problem) == f"{tmp_path}: cannot be read: Is a directory; it must be a file that root may read"
