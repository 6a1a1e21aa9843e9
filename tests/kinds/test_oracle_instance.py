"""mc_orcl_ctl under the kind `custom`, with a stub Oracle: what it leaves belongs to the resource, and is watched."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from servha.apps.application import SCRIPTS
from servha.core.model import ResourceState
from servha.host import LocalHost
from servha.resources import Custom, Place
from tests.apps.test_oracle_scripts import Oracle, installed
from tests.kinds.conftest import Desk

pytestmark = pytest.mark.root


@pytest.fixture
def oracle(tmp_path: Path) -> Iterator[Oracle]:
    yield from installed(tmp_path)


async def test_an_instance_is_started_watched_and_stopped_as_a_resource(
    host: LocalHost,
    oracle: Oracle,
    script: Callable[[str, str], str],
    desk: Callable[..., Awaitable[Desk]],
) -> None:
    path = script("mc_orcl_ctl", "")
    for name in ("mc_orcl_ctl", "oracle_variables"):
        shutil.copy(SCRIPTS / name, Path(path).with_name(name))
    kind = Custom(
        start_script=path,
        stop_script=path,
        test_script=path,
        start_arguments=("start", str(oracle.variables)),
        stop_arguments=("stop", str(oracle.variables)),
        test_arguments=("status", str(oracle.variables)),
    )
    one = await desk(host, kind)
    started = await one.start()
    assert started.ok, str(started.because)
    where = Place(tree="web", resource="app", host=host)
    found = await kind.check(where)
    assert found is not None
    assert found.state is ResourceState.RUNNING
    pid = int((oracle.home / "pid").read_text())
    assert pid in host.cgroup_pids(host.cgroup_of("web", "app")), "no login session takes it out of its group"
    (oracle.home / "silent").touch()
    found = await kind.check(where)
    assert found is not None
    assert found.state is ResourceState.UNKNOWN
    assert "ORA-12560" in str(found.because)
    (oracle.home / "silent").unlink()
    stopped = await one.stop()
    assert stopped.ok, str(stopped.because)
    assert not host.cgroup_pids(host.cgroup_of("web", "app"))
