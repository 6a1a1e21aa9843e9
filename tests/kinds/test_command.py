"""The custom detector: an exit code, or "cannot tell"."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from servha.core.model import ResourceState
from servha.core.words import say
from servha.detectors import Command
from servha.host import Completed, LocalHost, ScriptedHost


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (Completed(0), ResourceState.RUNNING),
        (Completed(1), ResourceState.STOPPED),
        (Completed(7), ResourceState.STOPPED),
        (Completed(127), ResourceState.UNKNOWN),
        (Completed(None, timed_out=True), ResourceState.UNKNOWN),
    ],
)
async def test_what_the_custom_detector_says(answer: Completed, state: ResourceState) -> None:
    host = ScriptedHost(programs={"/opt/test": [answer]})
    assert (await Command(script="/opt/test").detect(host)).state is state


async def test_a_script_that_others_may_change_is_not_run() -> None:
    host = ScriptedHost()
    host.script_problems["/opt/test"] = say("others may change {what}: chmod go-w {what}", what="/opt/test")
    found = await Command(script="/opt/test").detect(host)
    assert found.state is ResourceState.UNKNOWN
    assert "chmod" in str(found.because)
    assert ("run", "/opt/test") not in host.calls


@pytest.mark.parametrize(
    ("detector", "field"),
    [(Command(script="test"), "script"), (Command(script="/a", arguments=("\0",)), "arguments")],
)
def test_what_is_no_script_is_refused(detector: Command, field: str) -> None:
    assert [problem.field for problem in detector.problems()] == [field]


@pytest.mark.root
async def test_a_real_script_is_believed_and_a_slow_one_could_not_tell(
    host: LocalHost, script: Callable[[str, str], str]
) -> None:
    for text, state in (
        ("exit 0", ResourceState.RUNNING),
        ("exit 3", ResourceState.STOPPED),
        ("sleep 1000", ResourceState.UNKNOWN),
        ("no-such-program", ResourceState.UNKNOWN),
    ):
        assert (await Command(script=script("test", text), timeout_ms=200).detect(host)).state is state
