"""mc_orcl_ctl and mc_lsnr_ctl against a stub Oracle that says what the manual's transcripts show (L882-945)."""

from __future__ import annotations

import os
import pwd
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from servha.apps.application import SCRIPTS
from servha.resources.custom import COULD_NOT_RUN

NOBODY = (pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("nobody").pw_gid)
DONE, FAILED, STOPPED, CANNOT_TELL = 0, 1, 3, 125

# Daemons keep what they inherit open, as the worst of them do: a caller that waits for the end of a pipe hangs.
SQLPLUS = r"""#!/bin/bash
[ "$ORACLE_SID" = %(sid)s ] && [ "$ORACLE_HOME" = %(home)s ] || { echo "ORA-12162: wrong environment"; exit 1; }
words=$(cat)
running() { [ -f %(home)s/pid ] && kill -0 "$(cat %(home)s/pid)" 2>/dev/null; }
case $words in
*startup*)
    [ -f %(home)s/broken ] && { echo "ORA-01078: failure in processing system parameters"; exit 0; }
    perl -e '$0 = "ora_pmon_%(sid)s"; sleep 300' &
    echo $! >%(home)s/pid
    sleep 0.1
    printf 'ORACLE instance started.\n\nDatabase mounted.\nDatabase opened.\n' ;;
*shutdown*)
    [ -f %(home)s/stuck ] && { echo "ORA-01013: user requested cancel of current operation"; exit 0; }
    running && kill "$(cat %(home)s/pid)"
    while running; do sleep 0.02; done
    printf 'Database closed.\nDatabase dismounted.\nORACLE instance shut down.\n' ;;
*v\$instance*)
    [ -f %(home)s/silent ] && { echo "ORA-12560: TNS:protocol adapter error"; exit 1; }
    running || { echo "ORA-01034: ORACLE not available"; exit 1; }
    echo "SERVHA $(cat %(home)s/status 2>/dev/null || echo OPEN)" ;;
esac
"""
LSNRCTL = r"""#!/bin/bash
running() { [ -f %(home)s/lpid ] && kill -0 "$(cat %(home)s/lpid)" 2>/dev/null; }
absent() { printf 'TNS-12541: TNS:no listener\n TNS-00511: No listener\n'; exit 1; }
case $1 in
start)
    [ -f %(home)s/broken ] && { echo "TNS-12545: Connect failed because target host or object does not exist"; exit 1; }
    perl -e '$0 = "%(home)s/bin/tnslsnr '$2' -inherit"; sleep 300' &
    echo $! >%(home)s/lpid
    sleep 0.2
    echo "The command completed successfully" ;;
stop)
    running || absent
    kill "$(cat %(home)s/lpid)"
    while running; do sleep 0.02; done
    echo "The command completed successfully" ;;
status)
    [ -f %(home)s/elsewhere ] && { echo "The command completed successfully"; exit 0; }
    [ -f %(home)s/silent ] && absent
    running || absent
    echo "The command completed successfully" ;;
esac
"""


@dataclass
class Oracle:
    home: Path
    variables: Path
    sid: str

    def call(self, script: str, *words: str, env: dict[str, str] | None = None) -> tuple[int, str, str]:
        done = subprocess.run(
            [str(SCRIPTS / script), *words],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
            env={"PATH": os.environ["PATH"], **(env or {})},
        )
        return done.returncode, done.stdout, done.stderr

    def instance(self, verb: str) -> tuple[int, str, str]:
        return self.call("mc_orcl_ctl", verb, str(self.variables))

    def listener(self, verb: str) -> tuple[int, str, str]:
        return self.call("mc_lsnr_ctl", verb, str(self.variables))

    def write(self, **changed: str) -> None:
        values = {
            "ORACLE_HOME": str(self.home),
            "ORACLE_SID": self.sid,
            "ORACLE_OWNER": "root",
            "LISTENER_NAME": f"L{self.sid}",
        }
        self.variables.write_text("".join(f"{k}={v}\n" for k, v in {**values, **changed}.items() if v))


@pytest.fixture
def oracle(tmp_path: Path) -> Iterator[Oracle]:
    yield from installed(tmp_path)


@pytest.fixture
def owned(tmp_path: Path) -> Iterator[Oracle]:
    """The same, in a place that a user of its own can reach, and belonging to that one."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        for made in installed(place):
            for path in (made.home, *made.home.rglob("*")):
                os.chown(path, *NOBODY)
            made.write(ORACLE_OWNER="nobody")
            yield made


def installed(place: Path) -> Iterator[Oracle]:
    sid = f"t{os.getpid()}"
    home = place / "db_1"
    (home / "bin").mkdir(parents=True)
    (home / "network/admin").mkdir(parents=True)
    (home / "network/admin/listener.ora").write_text(f"L{sid} =\n (DESCRIPTION_LIST = )\n")
    for name, text in (("sqlplus", SQLPLUS), ("lsnrctl", LSNRCTL)):
        program = home / "bin" / name
        program.write_text(text % {"home": home, "sid": sid})
        program.chmod(0o755)
    made = Oracle(home, place / "oracle.conf", sid)
    made.write()
    yield made
    for name in ("pid", "lpid"):
        if (home / name).exists():
            try:
                os.kill(int((home / name).read_text()), signal.SIGKILL)
            except ProcessLookupError:
                continue


@pytest.mark.root
def test_oracle_runs_as_its_owner(owned: Oracle) -> None:
    assert owned.instance("start")[0] == DONE
    assert owned.listener("start")[0] == DONE
    for name in ("pid", "lpid"):
        assert Path(f"/proc/{(owned.home / name).read_text().strip()}").stat().st_uid == NOBODY[0]
    assert (owned.instance("status")[0], owned.listener("status")[0]) == (DONE, DONE)
    assert (owned.instance("stop")[0], owned.listener("stop")[0]) == (DONE, DONE)


def test_the_instance_goes_through_the_transcript_of_the_manual(oracle: Oracle) -> None:
    sid = oracle.sid
    assert oracle.instance("status")[:2] == (STOPPED, f"Oracle instance {sid} is stopped\n")
    assert oracle.instance("start")[:2] == (DONE, f"info Oracle instance {sid} started:\n")
    assert oracle.instance("status")[:2] == (DONE, f"Oracle instance {sid} is running\n")
    assert oracle.instance("start")[:2] == (DONE, f"Oracle instance {sid} is running\n")
    assert oracle.instance("stop")[:2] == (DONE, f"info Cleaning up for {sid}\n")
    assert oracle.instance("status")[:2] == (STOPPED, f"Oracle instance {sid} is stopped\n")
    assert oracle.instance("stop")[:2] == (DONE, f"Oracle instance {sid} is stopped\n")


def test_the_listener_goes_through_the_transcript_of_the_manual(oracle: Oracle) -> None:
    assert oracle.listener("status")[:2] == (STOPPED, "Listener is stopped\n")
    assert oracle.listener("start")[:2] == (
        DONE,
        "-----\nThe command completed successfully\nLSNRCTL> info Listener running:\n",
    )
    assert oracle.listener("status")[:2] == (DONE, "Listener is running\n")
    assert oracle.listener("start")[0] == DONE
    assert oracle.listener("stop")[:2] == (DONE, "The command completed successfully\n")
    assert oracle.listener("status")[:2] == (STOPPED, "Listener is stopped\n")
    assert oracle.listener("stop")[0] == DONE


@pytest.mark.parametrize(
    ("mark", "text", "says"),
    [("silent", "", "ORA-12560"), ("status", "MOUNTED", "not open (MOUNTED)")],
)
def test_an_instance_that_is_there_and_does_not_serve_is_never_called_stopped(
    oracle: Oracle, mark: str, text: str, says: str
) -> None:
    oracle.instance("start")
    (oracle.home / mark).write_text(text)
    code, out, err = oracle.instance("status")
    assert code == CANNOT_TELL
    assert says in err
    assert "stopped" not in out
    assert oracle.instance("start")[0] == CANNOT_TELL
    (oracle.home / mark).unlink()
    assert oracle.instance("stop")[0] == DONE


def test_a_listener_that_does_not_answer_is_never_called_stopped(oracle: Oracle) -> None:
    oracle.listener("start")
    (oracle.home / "silent").touch()
    code, out, err = oracle.listener("status")
    assert (code, out) == (CANNOT_TELL, "")
    assert "TNS-00511" in err


def test_an_answer_of_the_other_node_at_the_virtual_address_is_not_ours(oracle: Oracle) -> None:
    (oracle.home / "elsewhere").touch()
    assert oracle.listener("status")[0] == STOPPED


def test_a_start_and_a_stop_that_fail_say_why(oracle: Oracle) -> None:
    (oracle.home / "broken").touch()
    for call, says in ((oracle.instance, "ORA-01078"), (oracle.listener, "TNS-12545")):
        code, _, err = call("start")
        assert code == FAILED
        assert says in err
    (oracle.home / "broken").unlink()
    oracle.instance("start")
    (oracle.home / "stuck").touch()
    code, _, err = oracle.instance("stop")
    assert code == FAILED
    assert "ORA-01013" in err


@pytest.mark.parametrize("script", ["mc_orcl_ctl", "mc_lsnr_ctl"])
@pytest.mark.parametrize("verb", ["start", "stop", "status"])
@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"ORACLE_HOME": ""}, "ORACLE_HOME is not set"),
        ({"ORACLE_HOME": "/nowhere"}, "ORACLE_HOME=/nowhere is not a directory"),
        ({"ORACLE_HOME": "/usr"}, "ORACLE_HOME=/usr has no bin/"),
        ({"ORACLE_SID": ""}, "ORACLE_SID is not set"),
        ({"ORACLE_SID": "a.*"}, "ORACLE_SID=a.*"),
        ({"ORACLE_OWNER": "nobody-of-that-name"}, "there is no such user"),
        ({"ORACLE_OWNR": "oracle"}, "ORACLE_OWNR=oracle is not one of the variables"),
    ],
)
def test_a_wrong_variable_is_named_and_nothing_is_concluded(
    oracle: Oracle, script: str, verb: str, changed: dict[str, str], says: str
) -> None:
    oracle.write(**changed)
    code, out, err = oracle.call(script, verb, str(oracle.variables))
    assert (code, out) == (CANNOT_TELL, "")
    assert says in err


def test_a_listener_that_nobody_configured_is_a_wrong_variable(oracle: Oracle) -> None:
    oracle.write(LISTENER_NAME="LISTNER")
    code, _, err = oracle.listener("status")
    assert code == CANNOT_TELL
    assert "LISTENER_NAME=LISTNER is not in" in err


@pytest.mark.parametrize("words", [(), ("restart",), ("status", "/nowhere.conf")])
@pytest.mark.parametrize("script", ["mc_orcl_ctl", "mc_lsnr_ctl"])
def test_what_is_not_understood_concludes_nothing(
    oracle: Oracle, script: str, words: tuple[str, ...]
) -> None:
    assert oracle.call(script, *words)[0] == CANNOT_TELL


def test_the_variables_may_come_from_the_environment_and_a_file_has_windows_line_ends(oracle: Oracle) -> None:
    own = dict(line.split("=", 1) for line in oracle.variables.read_text().splitlines())
    assert oracle.call("mc_orcl_ctl", "status", env=own)[0] == STOPPED
    oracle.variables.write_bytes(oracle.variables.read_bytes().replace(b"\n", b"\r\n"))
    assert oracle.instance("status")[0] == STOPPED
    mixed = {**own, "ORACLE_SID": "another"}
    assert oracle.call("mc_orcl_ctl", "status", str(oracle.variables), env=mixed)[1].split()[2] == oracle.sid


def test_what_cannot_be_told_is_what_the_custom_kind_takes_for_unknown() -> None:
    assert CANNOT_TELL in COULD_NOT_RUN


def test_shipped_scripts_can_be_run_by_root_and_changed_by_nobody_else() -> None:
    for name in ("mc_orcl_ctl", "mc_lsnr_ctl"):
        mode = (SCRIPTS / name).stat().st_mode
        assert stat.S_IMODE(mode) & 0o111 == 0o111
        assert b"\r" not in (SCRIPTS / name).read_bytes()
        subprocess.run(["sh", "-n", str(SCRIPTS / name)], check=True)
