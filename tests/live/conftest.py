"""What live tests share: a lab of their own, removed in any case, and both nodes' words when a test fails."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from servha.lab.lab import Lab
from servha.lab.service import Unit
from servha.lab.trouble import LabError
from tests.live import cluster as clusters
from tests.live import quorum
from tests.live.cluster import Cluster
from tests.live.observer import watching
from tests.live.quorum import QuorumCluster

_HERE = Path(__file__).parent
_LOG_LINES = 60
_numbers = itertools.count(1)
_failed = pytest.StashKey[bool]()

LabMaker = Callable[..., Lab]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = [item for item in items if item.path.is_relative_to(_HERE)]
    for item in here:
        item.add_marker(pytest.mark.root)
    if here and os.geteuid() != 0 and os.environ.get("CI") == "true":
        raise pytest.UsageError("tests/live needs root, and CI must not leave it out: run it as root")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report: pytest.TestReport = yield  # type: ignore[assignment]
    item.stash[_failed] = item.stash.get(_failed, False) or report.failed
    return report  # type: ignore[return-value]


def new_name() -> str:
    return f"t{os.getpid()}-{next(_numbers)}"


@pytest.fixture
def make_lab(request: pytest.FixtureRequest) -> Iterator[LabMaker]:
    """Build labs that go with the test; `services` as in `Lab.up`, none unless given."""
    made: list[Lab] = []

    def make(services: list[Unit] | None = None, *, daemons: bool = False, profile: str = "fast") -> Lab:
        lab = Lab.up(new_name(), services=None if daemons else services or [], profile=profile)
        made.append(lab)
        return lab

    yield make
    for lab in made:
        try:
            if request.node.stash.get(_failed, False) and lab.exists():
                print(words_of(lab))
        finally:
            lab.down()


@pytest.fixture
def bare_lab(make_lab: LabMaker) -> Lab:
    """Two nodes on which nothing runs."""
    return make_lab()


@pytest.fixture
def lab(make_lab: LabMaker) -> Lab:
    """Two nodes with the product's daemons, no cluster yet."""
    return make_lab(daemons=True)


ClusterMaker = Callable[..., Cluster]


@pytest.fixture
def make_cluster(make_lab: LabMaker) -> ClusterMaker:
    """Build clusters of one's own; the test watches them itself."""
    return lambda profile="fast": clusters.build(make_lab(daemons=True, profile=profile))


@pytest.fixture
def own_cluster(make_cluster: ClusterMaker) -> Iterator[Cluster]:
    """A ready cluster that goes with the test, for what cannot be undone."""
    cluster = make_cluster()
    with watching(cluster.lab) as cluster.seen:
        cluster.await_ready(cluster.node1)
        cluster.began_s = clusters.now_s()
        yield cluster


@pytest.fixture(scope="session")
def shared_cluster() -> Iterator[list[Cluster]]:
    """At most one cluster, for all tests that leave it as they found it."""
    yield from _kept()


@pytest.fixture(scope="session")
def shared_quorum() -> Iterator[list[Cluster]]:
    """The same with a quorum disk."""
    yield from _kept()


@pytest.fixture
def cluster(request: pytest.FixtureRequest, shared_cluster: list[Cluster]) -> Iterator[Cluster]:
    """A ready cluster: the one of the test before, brought back to its first state, or a new one."""
    with _lent(request, shared_cluster, clusters.build) as cluster, watching(cluster.lab) as cluster.seen:
        yield cluster


@pytest.fixture
def quorum_disk(request: pytest.FixtureRequest, shared_quorum: list[Cluster]) -> Iterator[QuorumCluster]:
    """The same with a quorum disk that decides, and the application on a shared disk."""
    with _lent(request, shared_quorum, quorum.build_unhurried) as cluster:
        assert isinstance(cluster, QuorumCluster)
        checks = (cluster.against_the_slots,)
        with watching(cluster.lab, records=cluster.records, checks=checks) as cluster.seen:
            yield cluster


QuorumMaker = Callable[..., QuorumCluster]


@pytest.fixture
def make_quorum(make_lab: LabMaker) -> QuorumMaker:
    """Build clusters with a quorum disk of one's own; the test watches them itself."""
    return lambda profile="fast": quorum.build(make_lab(daemons=True, profile=profile))


def _kept() -> Iterator[list[Cluster]]:
    kept: list[Cluster] = []
    yield kept
    for cluster in kept:
        cluster.lab.down()


@contextmanager
def _lent(
    request: pytest.FixtureRequest, shared: list[Cluster], build: Callable[[Lab], Cluster]
) -> Iterator[Cluster]:
    """Give a ready cluster to a test, and throw it away if nobody knows in what state it comes back."""
    if not shared:
        shared.append(_built(build))
    cluster = shared[0]
    try:
        with watching(cluster.lab) as cluster.seen:
            cluster.settle()
        yield cluster
        if request.node.stash.get(_failed, False):
            raise _Spoiled  # noqa: TRY301
    except _Spoiled:
        _throw_away(shared, words=True)
    except BaseException:
        _throw_away(shared, words=True)
        raise
    else:
        if any(n.power != "on" for n in cluster.lab.nodes) or cluster.is_as_built():
            return
        _throw_away(shared, words=False)


def _built(build: Callable[[Lab], Cluster]) -> Cluster:
    lab = Lab.up(new_name(), profile="fast")
    try:
        return build(lab)
    except BaseException:
        print(words_of(lab))
        lab.down()
        raise


class _Spoiled(Exception):
    """A test failed: nobody knows in what state it left the cluster."""


def _throw_away(shared: list[Cluster], *, words: bool) -> None:
    (cluster,) = shared
    shared.clear()
    try:
        if words:
            print(words_of(cluster.lab))
    finally:
        cluster.lab.down()


def words_of(lab: Lab) -> str:
    """What both nodes have to say about themselves."""
    said = []
    for node in lab.nodes:
        said.append(f"===== {lab.name} {node.name}: {node.power}")
        for command in (("servha", "status"), ("servha", "why")):
            try:
                answer = node.run(*command, check=False, within_s=10)
            except (LabError, subprocess.TimeoutExpired) as off:
                said.append(str(off))
                break
            said += [f"--- {' '.join(command)}: {answer.returncode}", answer.stdout + answer.stderr]
        for log in sorted(node.log.glob("*")):
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            said += [f"--- {log.name} (the last {min(len(lines), _LOG_LINES)} of {len(lines)} lines)"]
            said += lines[-_LOG_LINES:]
    return "\n".join(said)
