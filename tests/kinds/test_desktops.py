"""A start script on the desktop of whoever is logged in: the test's own session files, a real program beside them."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from servha.host import Desktop, LocalHost, ScriptedHost, desktops
from servha.resources import Custom, Place

NOBODY = 65534
SESSION = f"""# This is private data. Do not parse.
UID={NOBODY}
USER=nobody
ACTIVE=1
IS_DISPLAY=1
STATE=active
REMOTE=0
TYPE=x11
CLASS=user
SEAT=seat0
DISPLAY=:7
"""
Script = Callable[[str, str], str]


@pytest.fixture
def sessions(tmp_path: Path) -> Path:
    directory = tmp_path / "sessions"
    directory.mkdir()
    return directory


@pytest.fixture
async def host(base: Path, tmp_path: Path, sessions: Path) -> AsyncIterator[LocalHost]:

    async with LocalHost(node="node1", run_dir=tmp_path / "run", base=base, sessions=sessions) as local:
        yield local


@pytest.fixture
def program() -> Iterator[None]:
    """One of the session's programs: what it knows of the display is taken over."""
    env = {"DISPLAY": ":7", "XAUTHORITY": "/run/user/65534/gdm/Xauthority", "XDG_SESSION_ID": "3"}
    child = subprocess.Popen(["/bin/sleep", "1000"], env=env, user=NOBODY, group=NOBODY)
    try:
        yield
    finally:
        child.kill()
        child.wait()


def place(host: LocalHost | ScriptedHost) -> Place:
    return Place(tree="web", resource="app", host=host, start_timeout_s=20.0, stop_timeout_s=20.0)


@pytest.mark.root
@pytest.mark.usefixtures("program")
async def test_the_start_script_runs_as_the_user_of_the_desktop(
    host: LocalHost, script: Script, sessions: Path
) -> None:
    (sessions / "3").write_text(SESSION, encoding="utf-8")
    kind = Custom(
        start_script=script(
            "start", "id -un; echo $DISPLAY $XAUTHORITY $XDG_RUNTIME_DIR $XDG_SESSION_ID; sleep 1000 &"
        ),
        desktop=True,
    )
    assert await kind.unfit(place(host)) == []
    outcome = await kind.start(place(host))
    assert outcome.ok, outcome
    said = host.output_of("web", "app")
    assert said.read_text() == "nobody\n:7 /run/user/65534/gdm/Xauthority /run/user/65534 3\n"
    assert host.cgroup_pids(host.cgroup_of("web", "app")), "it lives in the group of the resource"
    assert (await kind.stop(place(host))).ok


@pytest.mark.root
async def test_without_a_desktop_nothing_is_started_and_the_way_to_one_is_told(
    host: LocalHost, script: Script
) -> None:
    kind = Custom(start_script=script("start", "sleep 1000 &"), desktop=True)
    (problem,) = await kind.unfit(place(host))
    assert problem.field == "desktop"
    assert "nobody is logged in at the desktop of this node" in str(problem.because)
    assert "AutomaticLogin=USER" in str(problem.because)
    outcome = await kind.start(place(host))
    assert not outcome.ok
    assert outcome.because == problem.because
    assert not host.populated(host.cgroup_of("web", "app"))
    (other,) = await replace(kind, user="alice").unfit(place(host))
    assert "alice is not logged in" in str(other.because)


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("ACTIVE=1", "ACTIVE=0"),
        ("CLASS=user", "CLASS=greeter"),
        ("TYPE=x11", "TYPE=tty"),
        ("REMOTE=0", "REMOTE=1"),
        (f"UID={NOBODY}\n", ""),
        ("USER=nobody\n", ""),
    ],
)
def test_what_is_no_desktop(sessions: Path, line: str, instead: str) -> None:
    assert line in SESSION
    (sessions / "3").write_text(SESSION.replace(line, instead), encoding="utf-8")
    assert desktops.find(sessions) is None
    (sessions / "4").write_text(SESSION, encoding="utf-8")
    found = desktops.find(sessions)
    assert found is not None
    assert (found.user, found.session, found.env["DISPLAY"]) == ("nobody", "4", ":7")


def test_the_own_screen_comes_first(sessions: Path, tmp_path: Path) -> None:
    (sessions / "1").write_text(SESSION.replace("seat0", "seat1"), encoding="utf-8")
    (sessions / "2").write_text(SESSION, encoding="utf-8")
    (sessions / "9").write_bytes(b"\xff\xfe")
    found = desktops.find(sessions)
    assert found is not None
    assert found.session == "2"
    assert desktops.find(sessions, user="alice") is None
    assert desktops.find(tmp_path / "absent") is None, "no logind runs here"


def test_only_with_the_flag_is_anything_of_a_desktop_asked() -> None:
    host = ScriptedHost()
    host.desktops = (Desktop("alice", "1", {"DISPLAY": ":1"}),)
    for flag, display in ((False, None), (True, ":1")):
        kind = Custom(start_script="/opt/start", test_script="/opt/test", desktop=flag)
        assert asyncio.run(kind.start(place(host))).ok
        assert host.environments[-1].get("DISPLAY") == display
