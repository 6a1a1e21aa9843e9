"""The programs an administrator lets run around what is done to a resource: which one, when, and what its end means.

A failed before_start fails the start. Nothing else here stands in the way: a stop goes on whatever its hook says, and
what goes wrong afterwards is told and no more. Each runs in a control group of its own, so that what it leaves
behind ends with it. The time a before_stop takes is taken from what a lease leaves for stopping: the guard does not
wait for it. No hook runs for the clearing away of what a dead start has left.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from servha.config.shape import Hooks
from servha.core.words import NOTHING_SAID, Text, say
from servha.host import Completed, Host, HostError, Outcome
from servha.resources.kind import FieldProblem, Place, environment

SAID_LINES_MAX, SAID_CHARACTERS_MAX = 10, 500
"""So much of the end of a hook's output is kept in the event log."""

Tell = Callable[[str, Text], None]
"""Takes a severity and a sentence for the event log."""


class Hooked:
    """The hooks of one resource, put around its starts and stops."""

    def __init__(self, hooks: Hooks, tell: Tell) -> None:
        self._hooks = hooks
        self._tell = tell

    async def around_start(self, place: Place, start: Callable[[], Awaitable[Outcome]]) -> Outcome:
        """Run before_start, the start unless that failed, and after_start where the start went well."""
        refusal = await self._run("before_start", place)
        if refusal is not None:
            return Outcome(ok=False, because=refusal)
        outcome = await start()
        if outcome.ok:
            await self._run("after_start", place)
        return outcome

    async def around_stop(self, place: Place, stop: Callable[[], Awaitable[Outcome]]) -> Outcome:
        """Run before_stop, the stop whatever that said, and then after_stop or on_stop_failure."""
        await self._run("before_stop", place)
        outcome = await stop()
        if outcome.ok:
            await self._run("after_stop", place)
        else:
            await self._run("on_stop_failure", place, failure=outcome.because)
        return outcome

    async def _run(self, name: str, place: Place, *, failure: Text = NOTHING_SAID) -> Text | None:
        """Run one hook and tell of it; why it failed, or None, also where there is none."""
        command = self._hooks.commands.get(name)
        if command is None:
            return None
        env = {**environment(place), "SERVHA_HOOK": name}
        if name == "on_stop_failure":
            env["SERVHA_FAILURE"] = str(failure).replace("\0", "")
        try:
            because = await place.host.script_problem(command[0])
            if because is None:
                done = await place.host.run(command, timeout_s=self._hooks.timeout_s, env=env)
                because = self._failure(command[0], done)
                if because is None:
                    self._tell("info", _went_well(name, command[0], done))
                    return None
        except HostError as error:
            because = error.text
        refusal = say("hook {hook} failed: {why}", hook=name, why=because)
        if name == "before_start":
            return refusal  # the failed start, which is told anyway, has it as its reason
        self._tell("warning", refusal)
        return refusal

    def _failure(self, path: str, done: Completed) -> Text | None:
        said = _last_words(done.output)
        if done.timed_out:
            return say(
                "{path} had not returned after {seconds} s and was ended: {said}",
                path=path,
                seconds=round(self._hooks.timeout_s, 3),
                said=said,
            )
        if done.code is None or done.code < 0:
            return say(
                "{path} was ended by signal {signal}: {said}", path=path, signal=-(done.code or 0), said=said
            )
        if done.code != 0:
            return say("{path} ended with code {code}: {said}", path=path, code=done.code, said=said)
        return None


async def hooks_unfit(hooks: Hooks, host: Host) -> list[FieldProblem]:
    """Return why hooks could not be run on this node."""
    return [
        FieldProblem(f"hooks.{name}", trouble)
        for name, command in hooks.commands.items()
        if (trouble := await host.script_problem(command[0])) is not None
    ]


def _went_well(name: str, path: str, done: Completed) -> Text:
    said, ms = _last_words(done.output), round(done.took_s * 1000)
    if said:
        return say(
            "hook {hook} ({path}) went well in {ms} ms: {said}", hook=name, path=path, ms=ms, said=said
        )
    return say("hook {hook} ({path}) went well in {ms} ms", hook=name, path=path, ms=ms)


def _last_words(output: str) -> str:
    r"""The end of what a program said, its lines beside each other.

    >>> _last_words("one\n\n two \n")
    'one / two'
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return " / ".join(lines[-SAID_LINES_MAX:])[-SAID_CHARACTERS_MAX:]
