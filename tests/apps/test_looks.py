"""Looks at this node: what is wrong is told with its remedy, what cannot be told is never called fine."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from servha.apps import looks
from servha.apps.looks import Verdict

SYSTEMCTL = """#!/bin/sh
[ -n "$WORD" ] && echo "$WORD"
[ -n "$COMPLAINT" ] && echo "$COMPLAINT" >&2
exit 1
"""


@pytest.mark.parametrize(
    ("active", "enabled", "complaint", "verdicts"),
    [
        ("inactive", "", "", (Verdict.FINE, None)),
        ("failed", "", "", (Verdict.FINE, None)),
        ("active", "", "", (Verdict.WRONG, None)),
        ("activating", "", "", (Verdict.WRONG, None)),
        ("", "", "System has not been booted with systemd", (Verdict.UNKNOWN, None)),
        ("", "", "", (Verdict.UNKNOWN, None)),
        ("", "disabled", "", (None, Verdict.FINE)),
        ("", "enabled", "", (None, Verdict.WRONG)),
        ("", "generated", "", (None, Verdict.WRONG)),
        ("", "masked", "", (None, Verdict.UNKNOWN)),
        ("", "not-found", "", (None, Verdict.WRONG)),
        ("", "", "Failed to get unit file state: No such file or directory", (None, Verdict.WRONG)),
    ],
)
def test_a_unit_is_fine_only_where_systemd_says_so(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    active: str,
    enabled: str,
    complaint: str,
    verdicts: tuple[Verdict | None, Verdict | None],
) -> None:
    (tmp_path / "systemctl").write_text(SYSTEMCTL)
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("COMPLAINT", complaint)
    monkeypatch.setenv("WORD", active or enabled)
    running, booting = verdicts
    found = looks.units(["x"] if running else [], ["x"] if booting else [])
    assert [one.verdict for one in found] == [running or booting]
    assert found[0].verdict is not Verdict.WRONG or found[0].remedy.template


def test_systemd_that_is_not_there_cannot_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert {one.verdict for one in looks.units(["x"], ["x"])} == {Verdict.UNKNOWN}


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_port_that_somebody_listens_on_is_not_free(family: socket.AddressFamily, address: str) -> None:
    with socket.socket(family) as door:
        try:
            door.bind((address, 0))
        except OSError:
            assert family == socket.AF_INET6, "a machine without IPv6 has nothing to show here"
            return
        port = door.getsockname()[1]
        assert looks.ports([port])[0].verdict is Verdict.FINE
        door.listen()
        assert looks.ports([port])[0].verdict is Verdict.WRONG
    assert looks.ports([port])[0].verdict is Verdict.FINE


def test_a_user_is_equal_only_when_the_other_node_said_so() -> None:
    here = looks.numbers_of(["nobody"])["nobody"]
    assert looks.users(["nobody"], None)[0].verdict is Verdict.UNKNOWN
    assert looks.users(["nobody"], {"nobody": here})[0].verdict is Verdict.FINE
    assert looks.users(["nobody"], {"nobody": [here[0] + 1, here[1]]})[0].verdict is Verdict.WRONG
    assert looks.users(["nobody"], {})[0].verdict is Verdict.WRONG
    assert looks.users(["no-such-user"], None)[0].verdict is Verdict.WRONG


def test_a_script_that_others_may_change_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "start"
    path.write_text("#!/bin/sh\n")
    assert looks.programs([str(path), ""])[0].verdict is Verdict.WRONG
    assert looks.programs(["/bin/true"])[0].verdict is Verdict.FINE
