"""A user's own configuration, simulated: what is found is played again, and what is proposed was tried."""

from __future__ import annotations

import io
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from servha.cli import exits
from servha.cli.main import make_parser
from servha.cli.screen import Screen
from servha.config.document import parse
from servha.core.model import Policy
from servha.sim.configured import Given, changes, given
from servha.sim.prove import End, Fault, Found, Step, play, prove, sequences, shortest, takes_both
from tests.config.conftest import sound_data


def configured(**cluster: Any) -> Given:
    data = sound_data()
    data["cluster"] |= cluster
    document, problems = parse(data)
    assert document is not None, problems
    found = given(document)
    assert found is not None
    return found


def proven(given_: Given, faults: int) -> list[Found]:
    with ProcessPoolExecutor(max_workers=2) as executor:
        *_, (played, total, found) = prove(given_, faults, executor)
    assert played == total
    return found


def command(arguments: list[str]) -> tuple[int, str]:
    args = make_parser().parse_args(arguments)
    screen = Screen(
        language="en", out=io.StringIO(), err=io.StringIO(), json=getattr(args, "output", "") == "json"
    )
    code = args.run(args, screen)
    assert isinstance(screen.out, io.StringIO)
    return code, screen.out.getvalue()


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "cluster.json"
    path.write_text(json.dumps(sound_data()))
    return str(path)


def test_the_network_of_the_virtual_address_is_found_in_the_configuration() -> None:
    assert configured().public == "public"


def test_with_a_reference_address_a_broken_network_leaves_two_and_a_quorum_disk_one() -> None:
    found = proven(configured(), 1)
    assert {(f.commands, f.end) for f in found} >= {("cut all", End.TWO)}
    assert {str(f.remedy) for f in found if f.commands == "cut all"} == {"a quorum disk"}


def test_no_single_fault_ends_badly_with_a_quorum_disk() -> None:
    sound = configured()
    one, other = (replace(c, policy=Policy.DISK) for c in sound.clusters)
    assert proven(replace(sound, clusters=(one, other)), 1) == []


def test_what_is_proposed_was_played_again() -> None:
    sound = configured()
    cut = (Step(0.0, Fault("cut all")),)
    assert play(sound, cut) == (("web", End.TWO),)
    helps = {str(c.text): not play(sound.with_each(c.make), cut) for c in changes(sound)}
    assert helps["a quorum disk"]
    assert not helps["one more heartbeat link, on wires of its own"]


def test_every_order_and_moment_of_two_faults_is_played_once() -> None:
    found = list(sequences(configured(), 2))
    assert len(found) == len(set(found))
    together = [s for s in found if len(s) == 2 and not s[1].after_s]
    assert {frozenset((a.fault, b.fault)) for a, b in together} == {
        frozenset((a.fault, b.fault)) for a, b in (s for s in found if len(s) == 2)
    }


def test_nobody_is_blamed_when_both_nodes_are_taken_away() -> None:
    off = (Step(0.0, Fault("poweroff node1", "node1")), Step(0.0, Fault("poweroff node2", "node2")))
    cannot = (off[0], Step(0.0, Fault("fails node2 web/app start", "node2", "web")))
    assert takes_both(off)
    assert takes_both(cannot, "web")
    assert not takes_both(cannot, "db")


def test_a_longer_sequence_that_ends_the_same_way_is_left_out() -> None:
    cut, off = Step(0.0, Fault("cut all")), Step(1.0, Fault("poweroff node1"))
    short, long = Found((cut,), "web", End.TWO), Found((cut, off), "web", End.TWO)
    assert shortest([short, long, Found((off, cut), "web", End.NOBODY)]) == [
        short,
        Found((off, cut), "web", End.NOBODY),
    ]


def test_commands_play_on_a_configuration(file: str) -> None:
    code, said = command(["simulate", "--config", file, "cut private; run 10s"])
    assert code == exits.OK
    assert "node1 link private: warned -> dead" in said
    assert said.endswith("web: node1\ndual-active: never\n")


def test_prove_answers_in_json_and_fails_when_it_found_something(file: str) -> None:
    code, said = command(["prove", "--config", file, "--faults", "1", "-o", "json"])
    assert code == exits.FAILED
    cut = next(f for f in json.loads(said)["found"] if f["faults"] == "cut all")
    assert (cut["tree"], cut["end"], cut["change"]["text"]) == ("web", "two", "a quorum disk")


def test_a_seed_is_played_again(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = command(["simulate", "--seed", "2"])
    assert code == exits.OK
    assert "every promise was kept" in said
