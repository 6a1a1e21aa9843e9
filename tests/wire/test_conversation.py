"""Two daemons find each other on every path, and nothing recorded is ever taken for the peer."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import pytest

from servha.core.model import Report, Standing, TreeReport
from servha.core.words import NOTHING_SAID
from servha.wire import conversation as subject
from servha.wire.beat import Reason, Roster, cluster_number, incarnation
from servha.wire.conversation import ANSWER_GAP_S, Accepted, Answer, Conversation, Rejected

LINKS = ("private", "public")
BOOT = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"


def roster(cluster: str = "ab" * 16, key: bytes = b"k" * 32) -> Roster:
    return Roster(cluster_number(cluster), {0: "node1", 1: "node2"}, LINKS, {0: key})


@dataclass
class Node:
    """One life of one daemon, with everything it has sent."""

    name: str
    seed: int
    roster: Roster = field(default_factory=roster)
    recording: list[tuple[str, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.session = hashlib.sha256(bytes([self.seed])).digest()[:16]
        self.talk = Conversation(self.roster, self.name, self.session)
        self.report = Report(
            self.name,
            incarnation(BOOT, self.session),
            Standing.STANDBY,
            reference_ok=True,
            trees=(TreeReport(1),),
        )

    def beat(self, link: str = "private", now_s: float = 0.0) -> bytes:
        return self._kept(link, self.talk.compose(self.report, link, now_s))

    def answer(self, link: str = "private", now_s: float = 0.0) -> bytes:
        return self._kept(link, self.talk.answer(self.report, link, now_s))

    def _kept(self, link: str, datagram: bytes) -> bytes:
        self.recording.append((link, datagram))
        return datagram

    def hears(self, datagram: bytes, link: str = "private", now_s: float = 0.0) -> object:
        return self.talk.receive(datagram, link, now_s)


def reason(found: object) -> Reason:
    assert isinstance(found, Rejected)
    return found.reason


def meet(one: Node, other: Node, now_s: float = 0.0) -> None:
    """One speaks first; both believe each other afterwards, three datagrams later."""
    assert isinstance(other.hears(one.beat(), now_s=now_s), Answer)
    heard = one.hears(other.answer(), now_s=now_s)
    assert isinstance(heard, Accepted)
    assert heard.answer
    assert isinstance(other.hears(one.answer(), now_s=now_s), Accepted)


@pytest.fixture
def pair() -> tuple[Node, Node]:
    one, other = Node("node1", 1), Node("node2", 2)
    meet(one, other)
    return one, other


def test_two_daemons_believe_each_other_after_three_datagrams(pair: tuple[Node, Node]) -> None:
    one, other = pair
    assert one.talk.peer_session == other.session
    assert other.talk.peer_session == one.session
    heard = one.hears(other.beat())
    assert heard == Accepted(other.report, "private", round_trip_s=0.0)


def test_they_find_each_other_when_both_speak_first() -> None:
    one, other = Node("node1", 1), Node("node2", 2)
    first, second = one.beat(), other.beat()
    assert isinstance(one.hears(second), Answer)
    assert isinstance(other.hears(first), Answer)
    assert isinstance(one.hears(other.answer()), Accepted)
    assert isinstance(other.hears(one.answer()), Accepted)


def test_they_find_each_other_though_every_answer_is_lost() -> None:
    one, other = Node("node1", 1), Node("node2", 2)
    for second in range(3):
        assert not isinstance(other.hears(one.beat(), now_s=second), Accepted)
        assert not isinstance(one.hears(other.beat(), now_s=second), Accepted)
        other.answer()
    assert isinstance(one.hears(other.answer(), now_s=9), Accepted)


def test_a_restarted_peer_is_met_again_at_once_and_its_old_life_is_over(pair: tuple[Node, Node]) -> None:
    one, other = pair
    reborn = Node("node2", 3)
    meet(reborn, one, now_s=1.0)
    assert one.talk.peer_session == reborn.session
    # Late beats of the earlier life repeat our session rightly; they must not look like the peer's return.
    assert reason(one.hears(other.beat(), now_s=2.0)) is Reason.STALE_SESSION
    assert one.talk.peer_session == reborn.session


def test_a_first_beat_of_a_new_life_says_so(pair: tuple[Node, Node]) -> None:
    one, _ = pair
    reborn = Node("node2", 3)
    one.hears(reborn.beat(), now_s=1.0)
    reborn.hears(one.answer(), now_s=1.0)
    heard = one.hears(reborn.beat(), now_s=1.0)
    assert isinstance(heard, Accepted)
    assert heard.new_session
    again = one.hears(reborn.beat(), now_s=1.0)
    assert isinstance(again, Accepted)
    assert not again.new_session


def test_a_replayed_beat_is_rejected(pair: tuple[Node, Node]) -> None:
    one, other = pair
    datagram = other.beat()
    assert isinstance(one.hears(datagram), Accepted)
    assert reason(one.hears(datagram)) is Reason.REPLAYED


def test_beats_out_of_order_are_taken_once_each(pair: tuple[Node, Node]) -> None:
    one, other = pair
    sent = [other.beat() for _ in range(60)]
    sent = sent[30:] + sent[:30:2] + sent[1:30:2]
    assert all(isinstance(one.hears(datagram), Accepted) for datagram in sent)
    assert all(reason(one.hears(datagram)) is Reason.REPLAYED for datagram in sent)


def test_a_beat_older_than_the_window_is_rejected(pair: tuple[Node, Node]) -> None:
    one, other = pair
    held_back = other.beat()
    for _ in range(64):
        one.hears(other.beat())
    assert reason(one.hears(held_back)) is Reason.REPLAYED


def accepted(found: object) -> Accepted:
    assert isinstance(found, Accepted)
    return found


def test_what_was_lost_on_a_link_is_counted_and_taken_back_when_it_only_came_late(
    pair: tuple[Node, Node],
) -> None:
    one, other = pair
    first, *lost, late, last = (one.beat() for _ in range(5))
    one.beat("public")  # each link has a count of its own
    assert [accepted(other.hears(beat)).skipped for beat in (first, last, late)] == [0, 3, -1]
    assert len(lost) == 2
    assert accepted(other.hears(one.beat("public"), "public")).skipped == 0, "the first one heard"


def test_a_life_of_the_peer_begins_with_nothing_lost(pair: tuple[Node, Node]) -> None:
    one, other = pair
    for _ in range(9):
        one.beat()
    again = Node("node1", 3)
    again.beat()
    meet(again, other, now_s=1.0)
    assert accepted(other.hears(again.beat())).skipped == 0


def test_the_round_trip_leaves_out_what_the_peer_kept(pair: tuple[Node, Node]) -> None:
    one, other = pair
    accepted(other.hears(one.beat(now_s=10.0), now_s=50.0))  # clocks of their own
    found = accepted(one.hears(other.beat(now_s=50.4), now_s=10.403))
    assert found.round_trip_s == pytest.approx(0.003, abs=2e-6)
    assert accepted(one.hears(other.beat("public", now_s=50.4), "public", now_s=10.5)).round_trip_s is None


def test_an_answer_to_a_datagram_of_long_ago_gives_no_round_trip(pair: tuple[Node, Node]) -> None:
    one, other = pair
    accepted(other.hears(one.beat(now_s=10.0), now_s=50.0))
    for _ in range(subject.SENT_MAX):
        one.beat(now_s=10.1)
    assert accepted(one.hears(other.beat(now_s=50.4), now_s=10.4)).round_trip_s is None


def test_what_was_heard_of_an_earlier_life_is_not_repeated_to_the_next(pair: tuple[Node, Node]) -> None:
    one, other = pair
    accepted(other.hears(one.beat(now_s=10.0), now_s=50.0))
    again = Node("node1", 3)
    meet(again, other, now_s=60.0)
    found = accepted(again.hears(other.beat("public", now_s=60.5), "public", now_s=60.5))
    assert found.round_trip_s is None


def test_a_beat_of_one_link_does_not_count_on_another(pair: tuple[Node, Node]) -> None:
    one, other = pair
    found = one.hears(other.beat("private"), "public")
    assert reason(found) is Reason.LINK
    assert isinstance(found, Rejected)
    assert found.because != NOTHING_SAID


def test_a_recording_of_an_old_session_is_never_accepted_and_pushes_nobody_out(
    pair: tuple[Node, Node],
) -> None:
    one, other = pair
    for link in LINKS * 20:
        one.hears(other.beat(link), link)
    reborn = Node("node2", 3)
    meet(reborn, one, now_s=1.0)
    for step, (link, datagram) in enumerate([*other.recording, *reborn.recording]):
        found = one.hears(datagram, link, now_s=10 + step)
        assert not isinstance(found, Accepted)
        assert isinstance(one.hears(reborn.beat(link), link, now_s=10 + step), Accepted)


def test_a_recording_is_worthless_to_a_node_that_has_restarted(pair: tuple[Node, Node]) -> None:
    _, other = pair
    restarted = Node("node1", 9)
    for step, (link, datagram) in enumerate(other.recording):
        assert not isinstance(restarted.hears(datagram, link, now_s=step), Accepted)
    assert restarted.talk.accepted == 0
    # Recorded hellos were answered, which must not keep the real peer from being met.
    meet(restarted, Node("node2", 10), now_s=100.0)


def test_a_node_never_hears_itself(pair: tuple[Node, Node]) -> None:
    one, _ = pair
    assert reason(one.hears(one.beat())) is Reason.SENDER


def test_a_flood_of_recorded_hellos_is_answered_seldom() -> None:
    one, hello = Node("node1", 1), Node("node2", 2).beat()
    answered = sum(isinstance(one.hears(hello, now_s=n / 1000), Answer) for n in range(1000))
    assert answered <= 1 / ANSWER_GAP_S + 1


def test_two_conversations_with_one_answer_each_do_not_echo_for_ever(pair: tuple[Node, Node]) -> None:
    one, other = pair
    datagram, count = one.beat(), 0
    while count < 10:
        heard = other.hears(datagram, now_s=5.0)
        if not (isinstance(heard, Answer) or (isinstance(heard, Accepted) and heard.answer)):
            break
        datagram, one, other, count = other.answer(), other, one, count + 1
    assert count <= 2


@pytest.mark.parametrize(
    ("stranger", "because"),
    [
        (Node("node2", 2, roster(cluster="cd" * 16)), Reason.FOREIGN_CLUSTER),
        (Node("node2", 2, roster(key=b"x" * 32)), Reason.SEAL),
    ],
)
def test_strangers_are_counted_and_named(stranger: Node, because: Reason) -> None:
    one = Node("node1", 1)
    found = one.hears(stranger.beat())
    assert reason(found) is because
    assert isinstance(found, Rejected)
    assert found.because != NOTHING_SAID
    assert one.talk.counters[because.value] == 1


def test_another_version_has_its_own_counter_and_words(
    pair: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = pair
    monkeypatch.setattr("servha.wire.beat.VERSION", 2)
    newer = other.beat()
    monkeypatch.undo()
    found = one.hears(newer)
    assert reason(found) is Reason.VERSION
    assert isinstance(found, Rejected)
    assert "version 2" in str(found.because)
    assert one.talk.counters["version"] == 1


def test_a_new_configuration_interrupts_nothing(pair: tuple[Node, Node]) -> None:
    one, other = pair
    replayed = other.beat()
    one.hears(replayed)
    one.talk.adopt(
        Roster(one.roster.cluster, one.roster.nodes, ("public", "private", "new"), one.roster.keys)
    )
    assert isinstance(one.hears(other.beat()), Accepted)
    assert reason(one.hears(replayed)) is Reason.REPLAYED


def test_ended_sessions_are_remembered_within_a_bound(
    pair: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "ENDED_MAX", 3)
    one, _ = pair
    for life in range(10, 20):
        meet(Node("node2", life), one, now_s=float(life))
    assert len(one.talk._ended) <= 3


def test_a_session_must_be_drawn() -> None:
    with pytest.raises(ValueError, match="16 random bytes"):
        Conversation(roster(), "node1", bytes(16))
