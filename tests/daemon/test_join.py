"""A second node comes into the cluster only with the password or a join code, and never half."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from servha.core.words import Text
from servha.daemon import proof
from servha.daemon.api import for_strangers
from servha.daemon.connection import Connection, Way, dial
from servha.daemon.identity import Identity
from servha.daemon.password import INITIAL_PASSWORD, PasswordRecord
from servha.daemon.tls import stranger_client
from servha.wire.rpc import Args, Code, Json, Refusal
from tests.daemon.two_nodes import ADDRESSES, KNOWN, Fuse, Node, PowerCut, TwoNodes, join, refused

pytestmark = pytest.mark.root


async def test_a_node_that_knows_the_password_joins(nodes: TwoNodes) -> None:
    one, two = await nodes.joined()
    assert one.current.digest == two.current.digest
    assert [n.name for n in two.current.document.nodes] == ["node1", "node2"]
    assert two.identity.read_cluster_key() == one.identity.read_cluster_key()
    assert await one.channel.call("peer.hello") == {"node": "node2"}
    assert await two.channel.call("peer.hello") == {"node": "node1"}


async def test_the_quorum_disk_of_the_first_node_is_that_of_the_second(nodes: TwoNodes) -> None:
    one = await nodes.power_on("node1")
    links = {link: {"nic": f"{link}0"} for link in ADDRESSES["node1"]}
    asked: dict[str, Json] = {"name": "demo", "node": "node1", "password": KNOWN, "links": links}
    refusal = await refused(one.do("cluster.init", **asked, policy="quorum-disk"))
    assert refusal.code is Code.BAD_CONFIGURATION
    assert [p.path for p in refusal.problems] == ["cluster.quorum_disk"]
    await one.do("cluster.init", **asked, policy="quorum-disk", quorum_disk="/dev/mapper/q")
    two = await nodes.power_on("node2")
    await join(two)
    assert two.current.document.cluster.quorum_disk == "/dev/mapper/q"
    assert two.current.digest == one.current.digest


async def test_links_that_are_not_named_are_paired_by_their_network(nodes: TwoNodes) -> None:
    _, two = await nodes.joined()
    ours = two.current.document.node("node2")
    assert ours is not None
    assert {link: end.address for link, end in ours.links.items()} == ADDRESSES["node2"]
    assert ours.links["private"].nic == "private0"


async def test_a_wrong_password_changes_nothing_on_either_node(nodes: TwoNodes) -> None:
    one, two = await nodes.founded(), await nodes.power_on("node2")
    refusal = await refused(join(two, "wrong horse battery"))
    assert refusal.code is Code.NOT_PERMITTED
    assert str(refusal) == "wrong password for the cluster of node1"
    assert one.current.generation == 1
    assert two.configuration.current is None
    assert not two.identity.cluster_key.exists()
    assert any("could not prove" in note for note in one.notes)


async def test_wrong_passwords_from_elsewhere_are_counted_and_then_made_to_wait(nodes: TwoNodes) -> None:
    one, two = await nodes.founded(), await nodes.power_on("node2")
    links = {link: {"nic": f"{link}0"} for link in ADDRESSES["node2"]}  # calls from 192.0.2.2
    for _ in range(5):
        assert (await refused(join(two, "wrong horse", links=links))).code is Code.NOT_PERMITTED
    refusal = await refused(join(two, links=links))
    assert refusal.code is Code.TRY_AGAIN
    assert "too many wrong passwords" in str(refusal)
    assert one.current.generation == 1


async def test_the_initial_password_is_not_good_from_another_machine(nodes: TwoNodes) -> None:
    await nodes.founded(INITIAL_PASSWORD)
    two = await nodes.power_on("node2")
    links = {link: {"nic": f"{link}0"} for link in ADDRESSES["node2"]}
    refusal = await refused(join(two, "1", links=links))
    assert refusal.code is Code.NOT_PERMITTED
    assert "servha cluster password" in str(refusal)
    assert not two.identity.cluster_key.exists()


async def test_a_join_code_is_good_once(nodes: TwoNodes) -> None:
    one, two = await nodes.founded(), await nodes.power_on("node2")
    code = (await one.do("cluster.invite"))["code"]
    await join(two, "", code=code.lower())
    assert one.current.digest == two.current.digest
    assert one.admission.invitation.secret(now_s=asyncio.get_running_loop().time()) is None


async def test_a_join_code_of_another_node_is_not_even_shown_to_this_one(nodes: TwoNodes) -> None:
    await nodes.founded()
    two = await nodes.power_on("node2")
    code = proof.JoinCode.made(bytes(16), "ab" * 32)
    refusal = await refused(join(two, "", code=str(code)))
    assert refusal.code is Code.NOT_PERMITTED
    assert "not the one that made this code" in str(refusal)


async def test_a_join_code_that_has_run_out_is_refused(nodes: TwoNodes) -> None:
    one, two = await nodes.founded(), await nodes.power_on("node2")
    long_ago_s = asyncio.get_running_loop().time() - one.admission.invitation.GOOD_FOR_S
    code = one.admission.invitation.make(bytes(16), one.identity.fingerprint(), now_s=long_ago_s)
    refusal = await refused(join(two, "", code=str(code)))
    assert refusal.code is Code.NOT_PERMITTED
    assert "servha cluster invite" in str(refusal)


async def test_a_third_node_is_refused(nodes: TwoNodes) -> None:
    await nodes.joined()
    three = await nodes.power_on("node3")
    refusal = await refused(join(three))
    assert refusal.code is Code.EXISTS
    assert "node1, node2" in str(refusal)


async def test_a_name_that_is_taken_is_refused(nodes: TwoNodes) -> None:
    await nodes.founded()
    two = await nodes.power_on("node2")
    refusal = await refused(join(two, node="node1"))
    assert refusal.code is Code.EXISTS
    assert "servha node remove-offline node1" in str(refusal)


async def test_a_node_that_is_in_a_cluster_does_not_join_another(nodes: TwoNodes) -> None:
    _, two = await nodes.joined()
    refusal = await refused(join(two))
    assert refusal.code is Code.EXISTS
    assert "already in cluster demo" in str(refusal)


async def test_there_must_be_a_cluster_to_join(nodes: TwoNodes) -> None:
    one, two = await nodes.power_on("node1"), await nodes.power_on("node2")
    await one.identity.make_certificate("node1")
    refusal = await refused(join(two))
    assert refusal.code is Code.NO_SUCH
    assert "servha cluster init" in str(refusal)


async def test_an_interface_that_is_not_there_is_named_with_those_that_are(nodes: TwoNodes) -> None:
    await nodes.founded()
    two = await nodes.power_on("node2")
    refusal = await refused(join(two, links={"private": {"nic": "eth9"}}))
    assert refusal.code is Code.NO_SUCH
    assert "eth9" in str(refusal)
    assert "private0 (192.0.2.2/24)" in str(refusal)


async def test_nobody_there_is_said_with_the_next_step(nodes: TwoNodes) -> None:
    two = await nodes.power_on("node2")
    refusal = await refused(join(two, address="192.0.2.3"))
    assert refusal.code is Code.TRY_AGAIN
    assert "is servhad running there" in str(refusal)


async def test_another_version_of_the_protocol_is_told_apart(nodes: TwoNodes) -> None:
    await nodes.founded()
    two = await nodes.power_on("node2")
    async with called() as there:
        refusal = await refused(there.call("join", {"step": "hello", "protocol": 99, "method": "password"}))
    assert refusal.code is Code.BAD_CONFIGURATION
    assert "install the same version" in str(refusal)
    assert two.configuration.current is None


# --- attacks --------------------------------------------------------------------------------------------------


@asynccontextmanager
async def called() -> AsyncIterator[Connection]:
    """A stranger's connection to node1."""
    connection = await dial(Way("", "192.0.2.1", 17969, source="192.0.2.3"), stranger_client())
    yield connection
    connection.close(Text("the test is over"))


async def told(there: Connection, **args: Json) -> dict[str, Json]:
    answer = await there.call("join", args)
    assert isinstance(answer, dict)
    return answer


@pytest.mark.parametrize(
    "verb", ["peer.hello", "peer.config", "peer.stage", "echo", "cluster.password", "login"]
)
async def test_a_stranger_may_do_nothing_but_join(nodes: TwoNodes, verb: str) -> None:
    await nodes.founded()
    async with called() as there:
        refusal = await refused(there.call(verb, {}))
    assert refusal.code in (Code.NOT_PERMITTED, Code.USAGE)


async def proven(there: Connection, node: Node, nonce: str, hello: Args) -> dict[str, Json]:
    """What node2 would send to prove itself on this connection."""
    cluster = hello["cluster"]
    offer: dict[str, Json] = {"node": "node2", "certificate": node.identity.pem(), "links": {}}
    assert isinstance(cluster, dict)
    record = PasswordRecord.from_json(hello["scrypt"])
    transcript = proof.Transcript(
        cluster_id=str(cluster["id"]),
        admitting_certificate=there.certificate_sha256,
        joining_certificate=node.identity.fingerprint(),
        admitting_nonce=str(hello["nonce"]),
        joining_nonce=nonce,
        method=proof.Method.PASSWORD,
        offer=offer,
    )
    secret = await node.passwords.derive(record, KNOWN)
    return {
        "step": "prove",
        "nonce": nonce,
        "offer": offer,
        "proof": transcript.proof(secret, proof.Side.JOINING),
    }


async def test_a_recorded_proof_is_worth_nothing_the_second_time(nodes: TwoNodes) -> None:
    one, two = await nodes.founded(), await nodes.power_on("node2")
    await two.identity.make_certificate("node2")
    async with called() as first:
        hello = await told(first, step="hello", protocol=proof.PROTOCOL, method="password")
        recorded = await proven(first, two, "11" * 32, hello)
        refusal = await refused(first.call("join", recorded))
        assert refusal.code is Code.BAD_CONFIGURATION  # proven; only its links are missing
        assert (await refused(first.call("join", recorded))).code is Code.USAGE
    async with called() as second:
        await told(second, step="hello", protocol=proof.PROTOCOL, method="password")
        assert (await refused(second.call("join", recorded))).code is Code.NOT_PERMITTED
    assert one.current.generation == 1


@pytest.mark.parametrize("changed", ["node", "certificate", "links"])
async def test_a_proof_covers_all_that_is_asked_for(nodes: TwoNodes, changed: str) -> None:
    one, two = await nodes.founded(), await nodes.power_on("node2")
    await two.identity.make_certificate("node2")
    other: dict[str, Json] = {
        "node": "node9",
        "certificate": one.identity.pem(),
        "links": {"private": {"nic": "x", "address": "192.0.2.9/24"}},
    }
    async with called() as there:
        hello = await told(there, step="hello", protocol=proof.PROTOCOL, method="password")
        proving = await proven(there, two, "11" * 32, hello)
        offer = proving["offer"]
        assert isinstance(offer, dict)
        refusal = await refused(there.call("join", {**proving, "offer": {**offer, changed: other[changed]}}))
    assert refusal.code is Code.NOT_PERMITTED


async def test_somebody_in_the_middle_can_relay_nothing(nodes: TwoNodes) -> None:
    """He has a certificate of his own, and passes on everything that the two say."""
    one, two = await nodes.founded(), await nodes.power_on("node2")
    middle = await nodes.power_on("node3")
    await middle.identity.make_certificate("node3")
    there: list[Connection] = []

    async def relay(args: Args, _: object) -> Json:
        if not there:
            there.append(await dial(Way("", "192.0.2.1", 17969), stranger_client()))
        return await there[0].call("join", args)

    middle.api._verbs["join"] = for_strangers(relay)
    refusal = await refused(join(two, address="192.0.2.3"))
    assert refusal.code is Code.NOT_PERMITTED
    assert "wrong password" in str(refusal)
    assert one.current.generation == 1
    assert two.configuration.current is None
    there[0].close(Text("the test is over"))


async def test_a_node_that_does_not_know_the_password_cannot_make_us_join(nodes: TwoNodes) -> None:
    """It poses as the first node and says yes to every proof."""
    await nodes.founded()
    two, impostor = await nodes.power_on("node2"), await nodes.power_on("node3")
    await impostor.identity.make_certificate("node3")

    async def yes(args: Args, _: object) -> Json:
        if args["step"] == "hello":
            scrypt: Json = {"salt": "00" * 16, "n": 2**15, "r": 8, "p": 1}
            return {"cluster": {"id": "0" * 32}, "nonce": "22" * 32, "scrypt": scrypt}
        return {"proof": "33" * 32, "cluster_key": "44" * 32, "document": {}, "digest": ""}

    impostor.api._verbs["join"] = for_strangers(yes)
    refusal = await refused(join(two, address="192.0.2.3"))
    assert refusal.code is Code.NOT_PERMITTED
    assert "does not know the cluster's secret itself" in str(refusal)
    assert not two.identity.cluster_key.exists()


async def test_a_weak_proof_of_the_password_is_not_given(nodes: TwoNodes) -> None:
    two, impostor = await nodes.power_on("node2"), await nodes.power_on("node3")
    await impostor.identity.make_certificate("node3")

    async def cheap(_args: Args, _: object) -> Json:
        scrypt: Json = {"salt": "00" * 16, "n": 2, "r": 1, "p": 1}
        return {"cluster": {"id": "0" * 32}, "nonce": "22" * 32, "scrypt": scrypt}

    impostor.api._verbs["join"] = for_strangers(cheap)
    refusal = await refused(join(two, address="192.0.2.3"))
    assert refusal.code is Code.NOT_PERMITTED
    assert "weak proof" in str(refusal)


# --- cut off ----------------------------------------------------------------------------------------------------


async def test_a_join_is_never_half_wherever_the_power_fails(nodes: TwoNodes) -> None:
    """Both nodes take steps; each time another one is the last before its node loses power and starts again."""
    await nodes.founded()
    await nodes.end()
    kept = nodes.keep()
    outcomes: dict[str, str] = {}
    for at in range(1, 40):
        nodes.bring_back(kept)
        fuse = Fuse(at)
        await nodes.power_on("node1", fuse)
        two = await nodes.power_on("node2", fuse)
        wish = asyncio.create_task(ended(join(two)))
        blown = asyncio.create_task(fuse.blown.wait())
        await asyncio.wait({wish, blown}, return_when=asyncio.FIRST_COMPLETED)
        if fuse.node is not None:
            if fuse.node.name == "node2":
                wish.cancel()
            await nodes.power_off(fuse.node.name)
            await nodes.power_on(fuse.node.name)
        blown.cancel()
        await asyncio.wait({wish}, timeout=15)
        assert wish.done()
        outcomes[fuse.step or "none"] = await settled(nodes)
        await nodes.end()
        if fuse.node is None:
            break
    print(outcomes)
    assert outcomes["none"] == "joined"
    assert {"joined", "apart"} == set(outcomes.values())
    assert len(outcomes) >= 8


async def ended(wish: Awaitable[object]) -> str:
    try:
        await wish
    except (Refusal, PowerCut) as reason:
        return str(reason)
    return "done"


async def settled(nodes: TwoNodes) -> str:
    """Let node2 find out what became of its join; say it, and that both nodes agree on it."""
    one, two = nodes.nodes["node1"], nodes.nodes["node2"]
    async with asyncio.timeout(10):
        while two.configuration.current is None and two.configuration.staged is not None:
            await two.joining.resume()
            await asyncio.sleep(0.02)
    if two.configuration.current is None:
        assert [n.name for n in one.current.document.nodes] == ["node1"]
        assert one.current.generation == 1
        return "apart"
    assert one.current.digest == two.current.digest
    assert len(one.current.document.nodes) == 2
    assert two.identity.read_cluster_key() == one.identity.read_cluster_key()
    assert await one.channel.call("peer.hello") == {"node": "node2"}
    return "joined"


def test_only_root_reads_the_secrets(tmp_path: Path, identities: tuple[Identity, Identity, Identity]) -> None:
    identity = Identity(tmp_path / "etc")
    identity.write_cluster_key(bytes(32))
    assert identity.cluster_key.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "etc").stat().st_mode & 0o777 == 0o700
    assert identities[0].key.stat().st_mode & 0o777 == 0o600
