"""A node in no cluster, asked by a console: its password, the plan of a cluster, and how the session goes on in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from servha.daemon import nics
from servha.daemon.api import Api
from servha.daemon.caller import Caller, DoorKind
from servha.daemon.cluster_verbs import ClusterDesk, Outlets
from servha.daemon.founding import FILE_NAME
from servha.daemon.password import INITIAL_PASSWORD
from servha.wire.rpc import Code, Refusal, Request
from tests.daemon.conftest import ip
from tests.daemon.two_nodes import KNOWN, Alarms, Node, TwoNodes, join, refused

ELSEWHERE = "198.51.100.9"
HERE = "127.0.0.1"
LINKS = {"1": {"nic": "eth1"}, "0": {"nic": "eth2", "address": "203.0.113.1"}}
GOOD = {"name": "demo", "node": "node1", "links": LINKS, "order": ["1", "0"]}

Ask = Callable[..., Awaitable[dict[str, Any]]]


class Bare:
    """A node without a cluster; another one on the same directory is the same node after a restart."""

    def __init__(self, top: Path) -> None:
        self.notes: list[str] = []
        outlets = Outlets(
            alarms=Alarms(),
            note=lambda severity, text: self.notes.append(f"{severity}: {text}"),
            in_force=lambda _: None,
            interfaces=lambda: {"eth1": ("192.0.2.1/24",), "eth2": ("203.0.113.1/24", "203.0.113.2/24")},
            bind_to_nic=False,
        )
        self.desk = ClusterDesk(secrets_directory=top / "etc", state_directory=top / "state", outlets=outlets)
        self.api = Api(
            self.desk.verbs(),
            identity=self.desk.identity,
            current=lambda: self.desk.configuration.current,
            us=self.desk.us,
            note=outlets.note,
            attempts=self.desk.attempts,
            desk=self.desk.passwords,
            founding=self.desk.founding.lock,
        )

    def console(self, *, door: DoorKind = DoorKind.WEB) -> Ask:
        """Return a connection of the console; every call on it is of the same caller."""
        caller = Caller(door, "servha-web", "" if door is DoorKind.WEB else ELSEWHERE, same_machine=False)

        async def ask(verb: str, **args: Any) -> dict[str, Any]:
            answer = await self.api.answer(Request(1, verb, args), caller)
            assert isinstance(answer, dict)
            return answer

        return ask


def files_below(top: Path) -> list[Path]:
    return [path for path in top.rglob("*") if path.is_file()]


@pytest.fixture
async def bare(tmp_path: Path) -> AsyncIterator[Bare]:
    node = Bare(tmp_path)
    assert await node.desk.load() is None
    yield node
    await node.desk.close()


async def test_from_elsewhere_the_initial_password_leads_to_choosing_one_and_to_nothing_else(
    bare: Bare, tmp_path: Path
) -> None:
    ask = bare.console()
    told = await ask("login", password=INITIAL_PASSWORD, **{"from": ELSEWHERE})
    assert (told["right"], told["choose_password"], told["cluster"]) == ("choose-password", True, "")
    for verb in ("cluster.init", "cluster.join", "cluster.joining", "interfaces"):
        assert "choose a password first" in str(await refused(ask(verb, **GOOD)))
    assert (await refused(ask("cluster.password", password="short"))).code is Code.BAD_CONFIGURATION
    await ask("cluster.password", password=KNOWN)
    assert f"info: the password of this node was chosen by {ELSEWHERE}" in bare.notes
    void = bare.console()("resume", ticket=told["ticket"], **{"from": ELSEWHERE})
    assert (await refused(void)).code is Code.NOT_PERMITTED
    assert KNOWN not in (tmp_path / "state" / FILE_NAME).read_text(encoding="utf-8")
    assert (tmp_path / "state" / FILE_NAME).stat().st_mode & 0o777 == 0o600

    again = Bare(tmp_path)  # the daemon was started anew
    await again.desk.load()
    told = await again.console()("login", password=KNOWN, **{"from": ELSEWHERE})
    assert (told["right"], told["choose_password"]) == ("administrator", False)
    await again.console()("resume", ticket=told["ticket"], **{"from": ELSEWHERE})
    wrong = again.console()("login", password=INITIAL_PASSWORD, **{"from": HERE})
    assert (await refused(wrong)).code is Code.NOT_PERMITTED


async def test_whoever_came_in_with_the_initial_password_may_not_change_what_another_has_chosen(
    bare: Bare,
) -> None:
    first, second = bare.console(), bare.console()
    for ask in (first, second):
        await ask("login", password=INITIAL_PASSWORD, **{"from": ELSEWHERE})
    await first("cluster.password", password=KNOWN)
    refusal = await refused(second("cluster.password", password="mine, not theirs"))
    assert (refusal.code, "somebody else" in str(refusal)) == (Code.NOT_PERMITTED, True)
    assert (await bare.console()("login", password=KNOWN, **{"from": ELSEWHERE}))["right"] == "administrator"


async def test_only_the_console_may_come_in_before_there_is_a_cluster(bare: Bare) -> None:
    refusal = await refused(bare.console(door=DoorKind.MANAGEMENT)("login", password=INITIAL_PASSWORD))
    assert "in no cluster yet" in str(refusal)
    told = await bare.console()("login", password=INITIAL_PASSWORD, **{"from": HERE})
    assert told["right"] == "administrator"


async def test_a_password_that_cannot_be_read_does_not_become_the_initial_one_again(
    bare: Bare, tmp_path: Path
) -> None:
    (tmp_path / "state").mkdir(exist_ok=True)
    (tmp_path / "state" / FILE_NAME).write_text("{", encoding="utf-8")
    refusal = await refused(bare.console()("login", password=INITIAL_PASSWORD, **{"from": HERE}))
    assert (refusal.code, FILE_NAME in str(refusal)) == (Code.BAD_CONFIGURATION, True)


async def test_a_plan_names_everything_that_is_in_the_way_and_leaves_no_trace(
    bare: Bare, tmp_path: Path
) -> None:
    ask = bare.console()
    await ask("login", password=INITIAL_PASSWORD, **{"from": HERE})
    wrong = {
        "name": "no/name",
        "node": "",
        "password": "short",
        "links": {"private": {"nic": "eth9"}, "public": {"nic": "eth2"}},
        "timing": {"interval_ms": "often"},
        "ports": {"heartbeat": 99999},
    }
    refusal = await refused(ask("cluster.init", **wrong, dry_run=True))
    assert refusal.code is Code.BAD_CONFIGURATION
    paths = [problem.path for problem in refusal.problems]
    assert paths[:3] == ["links.private", "links.public", "password"]
    assert {"cluster.name", "nodes[0].name", "timing.interval_ms", "ports.heartbeat"} <= set(paths)

    told = await ask("cluster.init", **GOOD, dry_run=True)
    assert told["document"]["links"] == ["1", "0"]
    assert "password" not in told["document"]
    assert "demo" in str(told["plan"])
    assert "initial one" in str(told["notes"])
    assert not files_below(tmp_path)


async def test_who_makes_a_cluster_goes_on_in_it_with_the_password_chosen_before(
    bare: Bare, tmp_path: Path
) -> None:
    ask = bare.console()
    await ask("login", password=INITIAL_PASSWORD, **{"from": ELSEWHERE})
    await ask("cluster.password", password=KNOWN)
    ask = bare.console()
    before = await ask("login", password=KNOWN, **{"from": ELSEWHERE})
    assert "initial one" not in str((await ask("cluster.init", **GOOD, dry_run=True))["notes"])
    made = await ask("cluster.init", **GOOD)
    assert (made["cluster"], made["right"], made["choose_password"]) == ("demo", "administrator", False)
    assert not (tmp_path / "state" / FILE_NAME).exists()
    document = bare.desk.configuration.must_have().document
    assert document.links == ("1", "0")
    told = await bare.console()("resume", ticket=made["ticket"], **{"from": ELSEWHERE})
    assert (told["right"], told["cluster"]) == ("administrator", "demo")
    void = bare.console()("resume", ticket=before["ticket"], **{"from": ELSEWHERE})
    assert (await refused(void)).code is Code.NOT_PERMITTED
    assert (await bare.console()("login", password=KNOWN, **{"from": ELSEWHERE}))["cluster"] == "demo"


async def test_another_password_may_be_named_with_the_cluster_and_the_initial_one_stays_what_it_is(
    bare: Bare,
) -> None:
    ask = bare.console()
    await ask("login", password=INITIAL_PASSWORD, **{"from": ELSEWHERE})
    await ask("cluster.password", password=KNOWN)
    ask = bare.console()
    await ask("login", password=KNOWN, **{"from": ELSEWHERE})
    made = await ask("cluster.init", **GOOD, password=INITIAL_PASSWORD)
    assert (made["right"], made["choose_password"]) == ("choose-password", True)


async def look(node: Node, asked: dict[str, Any]) -> dict[str, Any]:
    told: Any = await node.joining.look(asked)
    assert isinstance(told, dict)
    return told


@pytest.mark.root
async def test_a_join_is_looked_at_by_both_and_changes_nothing(nodes: TwoNodes) -> None:
    one, two = await nodes.founded(), await nodes.power_on("node2")
    code = (await one.do("cluster.invite"))["code"]
    asked: dict[str, Any] = {"address": "192.0.2.1", "node": "node2", "code": code}
    seen = await look(two, asked)
    assert (seen["node"], seen["failure"]) == ("node1", None)
    assert [link["name"] for link in seen["links"]] == ["private", "public"]
    assert seen["paired"]["private"] == {"nic": "private0", "address": "192.0.2.2/24"}
    assert seen["settings"]["cluster"]["name"] == "demo"
    assert "cluster_key" not in seen
    taken = await look(two, {**asked, "node": "node1"})
    assert taken["failure"]["code"] == "exists"
    crossed = {"private": {"nic": "public0"}, "public": {"nic": "private0"}}
    assert (await look(two, {**asked, "links": crossed}))["failure"]["problems"]
    assert one.current.generation == 1
    assert two.configuration.current is None
    assert not two.identity.cluster_key.exists()
    assert two.joining.step == ""
    await join(two, "", code=code)  # looking has not used it up
    assert one.current.digest == two.current.digest


@pytest.mark.root
@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"address": "192.0.2.2"}, "address"),
        ({"address": "192.0.2.77"}, "address"),
        ({"password": "wrong horse battery"}, "password"),
        ({"code": "no code"}, "code"),
        ({"links": {"private": {"nic": "eth9"}}}, "links"),
    ],
)
async def test_what_is_wrong_with_a_join_is_named(nodes: TwoNodes, wrong: dict[str, Any], path: str) -> None:
    await nodes.founded()
    two = await nodes.power_on("node2")
    asked = {"address": "192.0.2.1", "node": "node2", "password": KNOWN, **wrong}
    with pytest.raises(Refusal) as caught:
        await two.joining.look(asked)
    assert [problem.path for problem in caught.value.problems] == [path]


@pytest.mark.root
async def test_an_interface_is_shown_with_its_addresses_and_whether_it_is_connected(
    own_network: None,
) -> None:
    ip("link", "add", "lan0", "type", "veth", "peer", "name", "lan1")
    ip("address", "add", "192.0.2.77/24", "dev", "lan0")
    assert {nic["name"]: nic["carrier"] for nic in await nics.nics_here()} == {"lan0": None, "lan1": None}
    ip("link", "set", "lan0", "up")
    assert {nic["name"]: nic["carrier"] for nic in await nics.nics_here()} == {"lan0": False, "lan1": None}
    ip("link", "set", "lan1", "up")
    nic = next(nic for nic in await nics.nics_here() if nic["name"] == "lan0")
    assert (nic["carrier"], nic["addresses"]) == (True, [{"address": "192.0.2.77/24", "static": True}])
