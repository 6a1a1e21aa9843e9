"""A change of the configuration reaches both nodes, or is refused; a time apart never loses one in silence."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from servha.daemon.follow import DIVERGED
from servha.daemon.replicate import Outcome
from servha.wire.rpc import Args, Code, Refusal
from tests.daemon.conftest import until
from tests.daemon.two_nodes import Fuse, Node, PowerCut, TwoNodes, agree, refused

pytestmark = pytest.mark.root


async def test_a_change_is_in_force_on_both_when_it_is_answered(nodes: TwoNodes) -> None:
    one, two = await nodes.joined()
    outcome = await one.change("the left one")
    assert outcome.on_both
    assert one.words == two.words == "the left one"
    assert one.current == two.current
    outcome = await two.change("the right one")
    assert outcome.on_both
    assert one.words == "the right one"
    assert outcome.version.generation == 4


async def test_a_change_that_changes_nothing_makes_no_generation(nodes: TwoNodes) -> None:
    one, _ = await nodes.joined()
    outcome = await one.change(one.words)
    assert outcome.version.generation == 2


async def test_a_change_made_from_an_older_generation_is_refused(nodes: TwoNodes) -> None:
    one, _ = await nodes.joined()
    seen = one.current
    await one.change("somebody was quicker")
    refusal = await refused(one.replicator.propose(seen.data, base_generation=seen.generation))
    assert refusal.code is Code.TRY_AGAIN
    assert "is at generation 3, your change was made from 2" in str(refusal)


async def test_every_problem_of_a_bad_change_is_told_and_nothing_changes(nodes: TwoNodes) -> None:
    one, two = await nodes.joined()
    bad = {**one.current.data, "links": ["private", "nowhere"], "nonsense": 1}
    refusal = await refused(one.replicator.propose(bad, base_generation=2))
    assert refusal.code is Code.BAD_CONFIGURATION
    assert len(refusal.problems) >= 2
    assert one.current.generation == two.current.generation == 2


async def test_a_change_without_the_peer_is_refused(nodes: TwoNodes) -> None:
    one, _ = await nodes.joined()
    await nodes.power_off("node2")
    refusal = await refused(one.change("alone"))
    assert refusal.code is Code.TRY_AGAIN
    assert "node2 cannot be reached" in str(refusal)
    assert "--alone" in str(refusal)
    assert one.current.generation == 2


async def test_a_change_made_alone_is_taken_by_the_peer_when_it_is_back(nodes: TwoNodes) -> None:
    one, _ = await nodes.joined()
    await nodes.power_off("node2")
    for words in ("first", "second", "third"):
        outcome = await one.change(words, alone=True)
        assert not outcome.on_both
    assert any("alone, as ordered" in note for note in one.notes)
    two = await nodes.power_on("node2")
    await agree(one, two)
    assert two.words == "third"
    assert any("made on node1 while this node was away" in note for note in two.notes)


async def test_twenty_changes_made_alone_are_still_known_as_later_ones(nodes: TwoNodes) -> None:
    """The store keeps ten generations; which came after which is known for far longer."""
    one, _ = await nodes.joined()
    await nodes.power_off("node2")
    await one.channel.close()
    for number in range(20):
        await one.change(f"change {number}", alone=True)
    two = await nodes.power_on("node2")
    await agree(one, two)
    assert two.words == "change 19"


async def test_changes_made_on_both_while_apart_are_not_merged(nodes: TwoNodes) -> None:
    one, two = await nodes.joined()
    await nodes.power_off("node2")
    await one.change("left", alone=True)
    await one.change("left again", alone=True)  # the greater number does not make it the later one
    await nodes.power_off("node1")
    two = await nodes.power_on("node2")
    await two.change("right", alone=True)
    one = await nodes.power_on("node1")
    with pytest.raises(TimeoutError):
        await agree(one, two, within_s=1.0)
    for node in (one, two):
        assert "configuration diverged" in node.alarms.up[DIVERGED]
        assert "servha cluster adopt" in node.alarms.up[DIVERGED]
    assert (one.words, two.words) == ("left again", "right")
    assert (await refused(one.change("more"))).code is Code.TRY_AGAIN
    await one.follower.adopt_peer()
    await agree(one, two)
    assert one.words == "right"
    assert not one.alarms.up
    assert not two.alarms.up


async def test_of_two_changes_at_once_at_most_one_wins(nodes: TwoNodes) -> None:
    one, two = await nodes.joined()
    for number in range(20):
        left, right = await asyncio.gather(
            ended(one.change(f"left {number}")), ended(two.change(f"right {number}"))
        )
        winners = [o for o in (left, right) if isinstance(o, Outcome)]
        assert len(winners) <= 1
        assert all(o.code is Code.TRY_AGAIN for o in (left, right) if isinstance(o, Refusal))
        await agree(one, two)
        if winners:
            assert one.words == winners[0].version.document.nodes[0].description


async def test_a_commit_that_was_not_heard_is_made_good_by_a_heartbeat(nodes: TwoNodes) -> None:
    one, two = await nodes.joined()
    version = await one.configuration.read(
        {**one.current.data, "generation": 3, "parent_digest": one.current.digest, "ports": {"console": 7701}}
    )
    await two.configuration.stage(version)
    await one.configuration.put_in_force(version)
    two.channel.hang_up()
    two.follower.on_peer_generation(3, version.digest[:16])
    await until(lambda: two.current == version, "the heartbeat is followed")


async def test_a_heartbeat_that_agrees_costs_nothing(nodes: TwoNodes) -> None:
    one, two = await nodes.joined()
    for _ in range(1000):
        two.follower.on_peer_generation(one.current.generation, one.current.digest[:16])
    assert not [t for t in asyncio.all_tasks() if t.get_name() == "follow configuration"]


async def test_a_half_done_change_is_completed_before_a_change_alone(nodes: TwoNodes) -> None:
    """The peer may have put it in force before it went away: another one on top would part them for good."""
    one, two = await nodes.joined()
    version = await one.configuration.read(
        {**one.current.data, "generation": 3, "parent_digest": one.current.digest, "ports": {"console": 7701}}
    )
    await two.configuration.stage(version)
    await one.configuration.put_in_force(version)
    await nodes.power_off("node1")
    refusal = await refused(two.change("mine", alone=True))
    assert refusal.code is Code.TRY_AGAIN
    assert "half done and has been completed first" in str(refusal)
    assert two.current == version
    await two.change("mine", alone=True)
    one = await nodes.power_on("node1")
    await agree(one, two)
    assert one.words == "mine"


async def test_a_node_that_runs_is_not_removed(nodes: TwoNodes) -> None:
    one, _ = await nodes.joined()

    def without_peer() -> Awaitable[Outcome]:
        return one.replicator.amend(lambda d: replace(d, nodes=d.nodes[:1]), alone=True)

    refusal = await refused(without_peer())
    assert refusal.code is Code.REFUSED
    await nodes.power_off("node2")
    await without_peer()
    assert len(one.current.document.nodes) == 1


async def test_a_removed_node_is_a_stranger(nodes: TwoNodes) -> None:
    one, two = await nodes.joined()
    assert await two.channel.call("peer.hello") == {"node": "node1"}
    await one.configuration.put_in_force(
        await one.configuration.read(
            {
                **one.current.data,
                "generation": 3,
                "parent_digest": one.current.digest,
                "nodes": one.current.data["nodes"][:1],  # type: ignore[index]
            }
        )
    )
    assert (
        await refused(two.channel.call("peer.hello"))
    ).code is Code.NOT_PERMITTED  # on the open connection
    two.channel.hang_up()
    assert (await refused(two.channel.call("peer.hello"))).code is Code.TRY_AGAIN  # and on a new one
    assert "may not know this node's certificate" in str(await refused(two.channel.call("peer.hello")))


async def test_the_digest_must_be_the_same_on_both(nodes: TwoNodes) -> None:
    one, _ = await nodes.joined()
    wrong: Args = {"document": one.current.data, "digest": "0" * 64}
    refusal = await refused(one.channel.call("peer.stage", wrong))
    assert refusal.code is Code.BAD_CONFIGURATION
    assert "different versions of ServHA" in str(refusal)


# --- cut off ----------------------------------------------------------------------------------------------------


async def ended(wish: Awaitable[Outcome]) -> Outcome | Refusal | PowerCut:
    try:
        return await wish
    except (Refusal, PowerCut) as reason:
        return reason


Change = Callable[[Node, Node], Awaitable[Outcome]]


async def change_here(one: Node, _: Node) -> Outcome:
    return await one.change("new")


async def change_there(_: Node, two: Node) -> Outcome:
    return await two.change("new")


async def change_alone(one: Node, _: Node) -> Outcome:
    return await one.change("new", alone=True)


@pytest.mark.parametrize("change", [change_here, change_there, change_alone])
async def test_the_nodes_agree_again_wherever_the_power_fails(nodes: TwoNodes, change: Change) -> None:
    """Each time another step is the last before its node loses power and starts again."""
    await nodes.joined()
    await nodes.end()
    kept = nodes.keep()
    outcomes: dict[str, str] = {}
    for at in range(1, 60):
        nodes.bring_back(kept)
        fuse = Fuse(at)
        one, two = await nodes.power_on("node1", fuse), await nodes.power_on("node2", fuse)
        step = await cut(nodes, fuse, change(one, two))
        outcomes[step] = await settled(nodes)
        await nodes.end()
        if fuse.node is None:
            break
    print(outcomes)
    assert outcomes["none"] == "new"
    assert set(outcomes.values()) == {"old", "new"}
    assert len(outcomes) >= 10


async def cut(nodes: TwoNodes, fuse: Fuse, change: Awaitable[Outcome]) -> str:
    """Let the change run into the power cut; the node starts again. What was answered as done must stay done."""
    wish = asyncio.create_task(ended(change))
    blown = asyncio.create_task(fuse.blown.wait())
    await asyncio.wait({wish, blown}, return_when=asyncio.FIRST_COMPLETED)
    blown.cancel()
    if fuse.node is not None:
        await nodes.power_off(fuse.node.name)
        await nodes.power_on(fuse.node.name)
    await asyncio.wait({wish}, timeout=10)
    assert wish.done()
    fuse.at = 0  # what follows is the repair, and that goes through
    answer = wish.result()
    if isinstance(answer, Outcome):
        assert await settled(nodes) == "new"
    return fuse.step or "none"


async def settled(nodes: TwoNodes) -> str:
    one, two = nodes.nodes["node1"], nodes.nodes["node2"]
    await agree(one, two)
    assert one.current == two.current
    assert not one.alarms.up
    assert not two.alarms.up
    on_disk = [node.configuration.shelf.current() for node in (one, two)]
    assert on_disk[0] == on_disk[1] == one.current
    was = one.words
    await one.change(f"after {was}")  # whatever happened, the next change works
    assert two.words == f"after {was}"
    return "new" if "new" in was else "old"
