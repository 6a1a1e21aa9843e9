"""Each file in tests/scenarios is a behaviour: commands, a line of dashes, the answer. `make rewrite` writes anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from servha.sim.scenario import BadScenario, play

DASHES = "----\n"
SCENARIOS = sorted((Path(__file__).parent / "scenarios").glob("*.txt"))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda p: p.stem)
def test_scenario(path: Path, request: pytest.FixtureRequest) -> None:
    text = path.read_text()
    asked, _, answer = text.partition(DASHES)
    assert asked.startswith("#"), "a scenario begins with its story"
    got = play(asked)
    if request.config.getoption("--rewrite"):
        path.write_text(asked + DASHES + got)
        return
    assert got == answer


def test_the_same_scenario_gives_the_same_answer_twice() -> None:
    text = SCENARIOS[0].read_text()
    assert play(text) == play(text)


@pytest.mark.parametrize(
    "line", ["fly node1", "run 5", "cut backbone", "fails node1 web/app sing", "policy maybe"]
)
def test_a_line_that_cannot_be_understood_is_named(line: str) -> None:
    with pytest.raises(BadScenario, match="line 2"):
        play("# story\n" + line)
