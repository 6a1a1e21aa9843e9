"""What a wish becomes in the words of `servha simulate`, and what is refused before anything is played."""

from __future__ import annotations

from typing import Any

import pytest

from servha.console import whatif
from servha.wire.rpc import Code, Refusal

CONFIG: dict[str, Any] = {
    "nodes": [{"name": "node1"}, {"name": "node2"}],
    "trees": [{"name": "web", "resources": [{"name": "app"}]}],
}


def words(*steps: dict[str, Any]) -> list[str]:
    return list(whatif._commands(CONFIG, [{"wait_s": 1, **step} for step in steps]))


def test_each_step_becomes_commands_and_a_wait() -> None:
    assert words({"do": "poweroff", "node": "node1"}, {"do": "wait", "wait_s": 5}) == [
        "poweroff node1",
        "run 1s",
        "run 5s",
    ]
    app = {"do": "break", "node": "node2", "tree": "web", "resource": "app"}
    assert words(app)[0] == "break node2 web/app"
    assert words({"do": "move", "node": "node2", "tree": "web"})[0] == "order move web on node2"


@pytest.mark.parametrize(
    ("step", "code"),
    [
        ({"do": "poweroff"}, Code.NO_SUCH),
        ({"do": "poweroff", "node": "node1; boot node2"}, Code.NO_SUCH),
        ({"do": "move", "node": "node1", "tree": "db"}, Code.NO_SUCH),
        ({"do": "break", "node": "node1", "tree": "web", "resource": "db"}, Code.NO_SUCH),
        ({"do": "wait", "wait_s": whatif.WHOLE_S + 1}, Code.USAGE),
    ],
)
def test_what_is_not_there_is_refused_by_name(step: dict[str, Any], code: Code) -> None:
    with pytest.raises(Refusal) as refused:
        words(step)
    assert refused.value.code is code


def test_the_trees_begin_where_they_are() -> None:
    def tree(name: str, on: str, *, goal: str = "run", pin: str = "") -> dict[str, Any]:
        return {
            "name": name,
            "running_on": on,
            "hosts": ["node1", "node2"],
            "order": {"goal": goal, "pin": pin},
        }

    begun = list(
        whatif._as_it_is(
            [
                tree("a", "node1"),
                tree("b", "node2", pin="node2"),
                tree("c", "node2"),
                tree("d", "", goal="stop"),
            ]
        )
    )
    assert begun == [
        "order move b on node2",
        "order move c on node2",
        "order stop d",
        "run 30s",
        "order release a",
        "order release c",
    ]
