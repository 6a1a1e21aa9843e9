"""OCF agents: the ones of Debian's resource-agents as they are, and small ones that answer each exit code."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from servha.core.model import ResourceState
from servha.core.words import say
from servha.host import Completed, LocalHost, ScriptedHost
from servha.resources import Ocf, Place, ocf_metadata
from servha.resources.ocf_metadata import metadata_of
from tests.kinds.conftest import Desk, Wire, until

MakeDesk = Callable[..., Awaitable[Desk]]
RUNNING, STOPPED, FAILED, UNKNOWN = (
    ResourceState.RUNNING,
    ResourceState.STOPPED,
    ResourceState.FAILED,
    ResourceState.UNKNOWN,
)
DUMMY = Ocf(agent="ocf:heartbeat:Dummy")
NOTHING = '<resource-agent name="x"/>'
DEADLINE_S = 20.0


def place(host: ScriptedHost | LocalHost) -> Place:
    return Place(
        tree="web",
        resource="app",
        host=host,
        ownership=7,
        reason=say("a test wants it"),
        start_timeout_s=DEADLINE_S,
        stop_timeout_s=DEADLINE_S,
    )


def agent(*monitors: Completed, kind: Ocf = DUMMY, meta: str = NOTHING) -> ScriptedHost:
    """A machine with an agent that answers monitor like that."""
    answers = list(monitors)
    host = ScriptedHost()

    def answer() -> Completed:
        if host.calls[-1][-1] == "meta-data":
            return Completed(0, meta)
        return answers.pop(0) if len(answers) > 1 else answers[0]

    host.programs[kind.path] = [answer]
    return host


# --- fields and meta-data ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "field", "words"),
    [
        (Ocf(agent="Dummy"), "agent", "ocf:PROVIDER:TYPE"),
        (Ocf(agent="ocf:../../bin:sh"), "agent", "ocf:../../bin:sh is not"),
        (Ocf(agent="ocf:heartbeat:.."), "agent", "is not the name"),
        (Ocf(agent="ocf:heartbeat:Dummy", parameters={"a b": "1"}), "parameters", "'a b'"),
        (Ocf(agent="ocf:heartbeat:Dummy", parameters={"a": "\0"}), "parameters", "NUL"),
    ],
)
def test_what_no_agent_could_take_is_refused(kind: Ocf, field: str, words: str) -> None:
    (problem,) = kind.problems()
    assert problem.field == field
    assert words in str(problem.because)


@pytest.mark.parametrize("text", ["", "no xml", "<resource-agent", "<a><resource-agent/></a>", "<?xml?><b/>"])
def test_what_is_no_meta_data_says_so(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        metadata_of(text)


def test_entities_are_not_expanded() -> None:
    bomb = '<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "b">]><resource-agent name="&a;"/>'
    with pytest.raises(ValueError, match="entities"):
        metadata_of(bomb)


def test_the_longest_time_of_several_monitors_counts() -> None:
    actions = "".join(f'<action name="monitor" timeout="{t}" />' for t in ("20s", "1m", "30"))
    assert metadata_of(f"<resource-agent><actions>{actions}</actions></resource-agent>").actions == {
        "monitor": 60.0
    }


@pytest.mark.parametrize(
    ("kind", "field", "words"),
    [
        (
            replace(DUMMY, parameters={"sate": "/run/x"}),
            "parameters",
            "no parameter sate; it knows fake, state",
        ),
        (Ocf(agent="ocf:heartbeat:Dumy"), "agent", "servha resource agents"),
        (
            Ocf(agent="ocf:heartbeat:IPaddr2"),
            "parameters",
            "parameter ip of ocf:heartbeat:IPaddr2 is missing",
        ),
        (
            Ocf(agent="ocf:heartbeat:IPaddr2", parameters={"ip": "192.0.2.7", "arp_count": "some"}),
            "parameters",
            "arp_count of ocf:heartbeat:IPaddr2 is some, it has to be a whole number",
        ),
        (replace(DUMMY, parameters={"state": "/no/such/place/state"}), "parameters", "validate-all"),
        (
            replace(DUMMY, monitor_timeout_ms=1000),
            "monitor_timeout_ms",
            "1.0 s for monitor are less than the 20",
        ),
    ],
)
async def test_a_bad_setting_names_its_field_its_value_and_what_would_be_right(
    host: LocalHost, kind: Ocf, field: str, words: str
) -> None:
    (problem,) = await kind.unfit(place(host))
    assert problem.field == field
    assert words in str(problem.because), problem


async def test_time_limits_below_the_advice_are_refused_unless_allowed(host: LocalHost) -> None:
    hasty = replace(place(host), stop_timeout_s=5.0)
    (problem,) = await DUMMY.unfit(hasty)
    assert problem.field == "stop_timeout_s"
    assert "5.0 s for stop are less than the 20" in str(problem.because)
    assert await replace(DUMMY, shorter_timeouts=True).unfit(hasty) == []


# --- exit codes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "state", "words"),
    [
        (0, RUNNING, "success"),
        (1, FAILED, "it failed"),
        (2, UNKNOWN, "a parameter is wrong"),
        (3, UNKNOWN, "does not know this action"),
        (4, UNKNOWN, "permission denied"),
        (5, UNKNOWN, "not installed"),
        (6, UNKNOWN, "configured wrongly"),
        (7, STOPPED, "it is not running"),
        (8, FAILED, "running as promoted"),
        (9, FAILED, "failed as promoted"),
        (10, UNKNOWN, "does not know"),
        (126, UNKNOWN, "does not know"),
        (190, RUNNING, "degraded"),
        (191, FAILED, "promoted"),
        (-11, UNKNOWN, "signal 11"),
    ],
)
async def test_each_exit_code_of_monitor_has_its_meaning(code: int, state: ResourceState, words: str) -> None:
    found = await DUMMY.check(place(agent(Completed(code))))
    assert found is not None
    assert found.state is state
    assert words in str(found.because)


async def test_a_monitor_that_hangs_could_not_tell() -> None:
    found = await DUMMY.check(place(agent(Completed(None, timed_out=True, took_s=20))))
    assert found is not None
    assert (found.state, "20" in str(found.because)) == (UNKNOWN, True)


@pytest.mark.parametrize(("probe", "state"), [(7, STOPPED), (5, UNKNOWN), (0, UNKNOWN), (1, UNKNOWN)])
async def test_where_it_cannot_run_now_the_agent_is_asked_as_a_probe(
    probe: int, state: ResourceState
) -> None:
    host = agent(Completed(5, "ocf-exit-reason:/srv/web/conf is not there"), Completed(probe))
    found = await DUMMY.check(place(host))
    assert found is not None
    assert found.state is state
    assert "/srv/web/conf is not there" in str(found.because)
    asked = [env["OCF_RESKEY_CRM_meta_interval"] for env in host.environments if env]
    assert asked[-2:] == ["10000", "0"]


@pytest.mark.parametrize("code", [5, 7])
async def test_stopped_is_not_believed_while_processes_are_left(code: int) -> None:
    host = agent(Completed(code), Completed(7))
    host.live(host.cgroup_of("web", "app"), 100)
    found = await DUMMY.check(place(host))
    assert found is not None
    assert found.state is (FAILED if code == 7 else UNKNOWN)


@pytest.mark.parametrize("code", [1, 5, 7])
async def test_a_stop_is_certain_with_0_only(code: int) -> None:
    host = agent(Completed(code))
    host.live(host.cgroup_of("web", "app"), 100)
    outcome = await DUMMY.stop(place(host))
    assert not outcome.ok, "its address or mount may still be there, whatever was killed"
    assert "was killed" in str(outcome.because)
    assert ("breaks the OCF standard" in str(outcome.because)) == (code == 7)


@pytest.mark.parametrize(
    "output",
    [
        "/usr/lib/ocf/resource.d/x/y: line 7: crm_master: command not found",
        "/usr/lib/ocf/resource.d/x/y: 7: crm_master: not found",
        "ocf-exit-reason:Setup problem: couldn't find command: crm_master",
    ],
)
async def test_what_needs_pacemaker_is_told_which_command_is_missing(output: str) -> None:
    outcome = await DUMMY.start(place(agent(Completed(1, output))))
    assert not outcome.ok
    assert "it needs crm_master, which belongs to Pacemaker" in str(outcome.because)


# --- Debian's agents -----------------------------------------------------------------------------------------


@pytest.mark.root
async def test_dummy_starts_stops_and_is_missed_when_its_state_is_gone(
    host: LocalHost, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    kind = replace(DUMMY, parameters={"state": str(state)})
    here = place(host)
    assert await kind.unfit(here) == []
    for action, expected in ((kind.start, RUNNING), (kind.stop, STOPPED), (kind.start, RUNNING)):
        for _ in range(2):
            assert (await action(here)).ok
            found = await kind.check(here)
            assert found is not None
            assert found.state is expected
    state.unlink()
    found = await kind.check(here)
    assert found is not None
    assert found.state is STOPPED
    assert "7" in str(found.because)


@pytest.mark.root
async def test_ipaddr2_puts_an_address_on_and_takes_it_off(host: LocalHost, wire: Wire) -> None:
    kind = Ocf(
        agent="ocf:heartbeat:IPaddr2",
        parameters={"ip": "192.0.2.100", "cidr_netmask": "24", "nic": "v0", "arp_count": "1"},
    )
    here = place(host)
    assert await kind.unfit(here) == []
    assert (await kind.start(here)).ok
    assert "192.0.2.100/24" in wire.run("ip", "addr", "show", "v0")
    for _ in range(2):
        assert (await kind.stop(here)).ok
    assert "192.0.2.100" not in wire.run("ip", "addr", "show", "v0")
    found = await kind.check(here)
    assert found is not None
    assert found.state is STOPPED


@pytest.mark.root
async def test_filesystem_mounts_and_unmounts(host: LocalHost, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    (source / "file").touch()
    kind = Ocf(
        agent="ocf:heartbeat:Filesystem",
        parameters={
            "device": str(source),
            "directory": str(target),
            "fstype": "none",
            "options": "bind",
            "force_unmount": "safe",
        },
    )
    here = replace(place(host), start_timeout_s=60.0, stop_timeout_s=60.0)
    assert await kind.unfit(here) == []
    try:
        assert (await kind.start(here)).ok
        found = await kind.check(here)
        assert found is not None
        assert found.state is RUNNING
        assert (target / "file").exists()
        assert (await kind.stop(here)).ok
        assert not (target / "file").exists()
    finally:
        await host.run(["umount", "-q", str(target)], timeout_s=DEADLINE_S)


@pytest.mark.root
async def test_a_process_that_an_agent_keeps_is_missed_at_once(host: LocalHost, desk: MakeDesk) -> None:
    """`anything` runs a program in the background: its end is told by the control group, then the agent is asked."""
    kind = Ocf(
        agent="ocf:heartbeat:anything",
        parameters={
            "binfile": "/bin/sleep",
            "cmdline_options": "1000",
            "pidfile": "/run/servha-kinds-any.pid",
        },
    )
    group = host.cgroup_of("web", "app")
    app = await desk(host, kind)
    assert (await app.start()).ok
    await until(lambda: bool(host.cgroup_pids(group)))
    assert await host.kill_cgroup(group, timeout_s=5.0)
    await until(lambda: bool(app.reports))
    assert app.states == [FAILED], "by its standard: a pid file without its process is a failure"
    assert (await app.stop()).ok


@pytest.mark.root
async def test_every_installed_agent_tells_something_of_itself(host: LocalHost) -> None:
    """Of the more than a hundred a few that differ in who wrote them and in which language."""
    for name in ("apache", "nginx", "pgsql", "oracle", "redis", "Filesystem", "dummypy", "VirtualDomain"):
        done = await host.run(
            [str(ocf_metadata.path_of("heartbeat", name)), "meta-data"],
            timeout_s=DEADLINE_S,
            env={"OCF_ROOT": ocf_metadata.ROOT},
        )
        told = metadata_of(done.output)
        assert told.short, name
        assert told.actions["start"] > 0, name


POSTGRESQL = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/postgresql-is-not-installed"))


@pytest.mark.root
async def test_pgsql_runs_a_database_whose_death_is_noticed(
    host: LocalHost, script: Callable[[str, str], str]
) -> None:
    home = Path(script("unused", "")).parent / "database"  # postgres cannot enter the test's own directory
    home.mkdir()
    shutil.chown(home, "postgres", "postgres")
    data = str(home / "data")
    made = await host.run(
        [str(POSTGRESQL / "initdb"), "--no-sync", "--auth=trust", "-D", data], timeout_s=60, user="postgres"
    )
    assert made.code == 0, made.output
    with (home / "data/postgresql.conf").open("a", encoding="utf-8") as file:
        file.write(f"unix_socket_directories = '{home}'\n")
    kind = Ocf(
        agent="ocf:heartbeat:pgsql",
        parameters={
            "pgctl": str(POSTGRESQL / "pg_ctl"),
            "psql": str(POSTGRESQL / "psql"),
            "pgdata": data,
            "socketdir": str(home),
            "logfile": str(home / "log"),
            "pgport": "15432",
        },
    )
    group = host.cgroup_of("web", "app")
    here = replace(place(host), start_timeout_s=120.0, stop_timeout_s=120.0)
    assert await kind.unfit(here) == []
    outcome = await kind.start(here)
    assert outcome.ok, outcome
    assert host.cgroup_pids(group), "the server lives in the group of the resource"
    assert await host.kill_cgroup(group, timeout_s=5.0)
    found = await kind.check(here)
    assert found is not None
    assert found.state in {STOPPED, FAILED}
    again = await kind.start(here)
    assert again.ok, again
    found = await kind.check(here)
    assert found is not None
    assert found.state is RUNNING
    stopped = await kind.stop(here)
    assert stopped.ok, stopped
    assert not host.populated(group)
