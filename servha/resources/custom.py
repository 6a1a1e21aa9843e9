"""An application started and stopped by scripts; everything it leaves behind lives in its control group.

The group is what makes a stop certain: the stop script asks, the group is waited for, and what is left is
killed. A test script's time-out is "cannot tell", never "stopped". What counts as too many of those is the
worker's business.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Annotated, ClassVar

from msgspec import Meta

from servha.core.model import ResourceState
from servha.core.words import Text, say
from servha.host import Desktop, FieldProblem, Finding, HostError, Outcome
from servha.resources.group import clean_up, either, how_it_went, kill_the_rest, last_words
from servha.resources.kind import Place, environment

COULD_NOT_RUN = (125, 126, 127)
"""Exit codes with which a shell says that it could not run a program at all."""


@dataclass(frozen=True, kw_only=True)
class Custom:
    """Custom resource: start, stop and test script."""

    name: ClassVar[str] = "custom"

    start_script: Annotated[
        str, Meta(description="Absolute path; it has to return once the program is started")
    ]
    stop_script: Annotated[str, Meta(description="Absolute path; what it leaves running is killed")] = ""
    test_script: Annotated[str, Meta(description="Absolute path; exit 0: running, other: stopped")] = ""
    start_arguments: Annotated[tuple[str, ...], Meta(description="Arguments of the start script")] = ()
    stop_arguments: Annotated[tuple[str, ...], Meta(description="Arguments of the stop script")] = ()
    test_arguments: Annotated[tuple[str, ...], Meta(description="Arguments of the test script")] = ()
    test_timeout_ms: Annotated[
        int,
        Meta(ge=100, le=600_000, description="A test script still running after this long could not tell"),
    ] = 10_000
    user: Annotated[str, Meta(description="User as whom the scripts run")] = "root"
    desktop: Annotated[
        bool,
        Meta(
            description="Run the start script on the desktop, as the user who is logged in there (or as `user` only)"
        ),
    ] = False

    def problems(self) -> list[FieldProblem]:
        """Every reason why the fields may not be saved."""
        found = [
            FieldProblem(name, say("{path} is not an absolute path", path=path))
            for name, path in self._scripts().items()
            if not path.startswith("/") or any(c in path for c in "\0\n")
        ]
        if not self.start_script:
            found.append(FieldProblem("start_script", say("a custom resource needs a start script")))
        found += [
            FieldProblem(name, say("an argument contains a NUL character"))
            for name in ("start_arguments", "stop_arguments", "test_arguments")
            if any("\0" in argument for argument in getattr(self, name))
        ]
        return found

    def _scripts(self) -> dict[str, str]:
        named = {
            "start_script": self.start_script,
            "stop_script": self.stop_script,
            "test_script": self.test_script,
        }
        return {name: path for name, path in named.items() if path}

    async def unfit(self, place: Place) -> list[FieldProblem]:
        """Why the scripts could not be run here now."""
        found = [
            FieldProblem(name, trouble)
            for name, path in self._scripts().items()
            if (trouble := await place.host.script_problem(path)) is not None
        ]
        try:
            await self._desktop(place)
        except HostError as error:
            found.append(FieldProblem("desktop", error.text))
        return found

    async def _desktop(self, place: Place) -> Desktop | None:
        """Where the start script is to appear, None without the flag. Raises HostError when nobody is logged in."""
        if not self.desktop:
            return None
        wanted = "" if self.user == "root" else self.user
        found = await place.host.desktop(wanted)
        if found is None:
            raise HostError(
                say(
                    "{who}: log in there, and let the display manager do it at every boot (gdm:"
                    " AutomaticLoginEnable=true and AutomaticLogin=USER below [daemon] in daemon.conf; lightdm:"
                    " autologin-user=USER below [Seat:*] in lightdm.conf)",
                    who=say("{user} is not logged in at the desktop of this node", user=wanted)
                    if wanted
                    else say("nobody is logged in at the desktop of this node"),
                )
            )
        return found

    async def start(self, place: Place) -> Outcome:
        """Run the start script inside the resource's group; already running is fine."""
        host = place.host
        try:
            refusal = await host.script_problem(self.start_script)
            if refusal:
                return Outcome(ok=False, because=refusal)
            group = host.cgroup_of(place.tree, place.resource)
            if host.populated(group):
                found = await self.check(place)
                if found is not None and found.state is ResourceState.RUNNING:
                    return Outcome(ok=True, because=say("it was running already: {why}", why=found.because))
                cleaned = await self.clean_up(place)
                if not cleaned.ok:
                    return cleaned
            desktop = await self._desktop(place)
            done = await host.run(
                [self.start_script, *self.start_arguments],
                timeout_s=place.start_timeout_s,
                env={**(desktop.env if desktop else {}), **environment(place)},
                cgroup=group,
                user=desktop.user if desktop else self.user,
                output=host.output_of(place.tree, place.resource),
            )
        except HostError as error:
            return Outcome(ok=False, because=error.text)
        if done.timed_out:
            return Outcome(
                ok=False,
                because=say(
                    "start script {path} had not returned after {seconds} s and was ended; it has to leave the"
                    " program in the background",
                    path=self.start_script,
                    seconds=round(place.start_timeout_s, 3),
                ),
            )
        if done.code != 0:
            return Outcome(ok=False, because=how_it_went(self.start_script, done))
        if not self.test_script and not place.detected and not host.populated(group):
            return Outcome(
                ok=False,
                because=say(
                    "start script {path} left no process behind, and neither a test script nor a detector would"
                    " tell whether it runs: add one",
                    path=self.start_script,
                ),
            )
        return Outcome(ok=True)

    async def stop(self, place: Place) -> Outcome:
        """Run the stop script, wait for the group to empty, kill what is left; certain or not ok."""
        host = place.host
        began = asyncio.get_running_loop().time()
        try:
            group = host.cgroup_of(place.tree, place.resource)
            if not host.populated(group):
                found = await self.check(place)
                if found is not None and found.state is ResourceState.STOPPED:
                    return Outcome(ok=True, because=say("it was not running: {why}", why=found.because))
            failure = await self._ask_to_stop(place)
        except HostError as error:
            return Outcome(ok=False, because=error.text)
        if failure is None and self.stop_script:
            left_s = max(0.0, place.stop_timeout_s - (asyncio.get_running_loop().time() - began))
            try:
                async with asyncio.timeout(left_s):
                    await host.emptied(group)
            except TimeoutError:
                failure = say(
                    "{seconds} s after stop script {path} was begun, processes are left: {count}",
                    path=self.stop_script,
                    count=len(host.cgroup_pids(group)),
                    seconds=round(place.stop_timeout_s, 3),
                )
                return await kill_the_rest(place, failure)
        if host.populated(group):
            return await kill_the_rest(place, failure or say("no stop script"))
        return Outcome(ok=failure is None, because=failure or Text(""))

    async def _ask_to_stop(self, place: Place) -> Text | None:
        """Run the stop script; what went wrong, or None. Without one there is nothing to ask."""
        if not self.stop_script:
            return None
        host = place.host
        refusal = await host.script_problem(self.stop_script)
        if refusal:
            return refusal
        done = await host.run(
            [self.stop_script, *self.stop_arguments],
            timeout_s=place.stop_timeout_s,
            env=environment(place),
            # Its own group: a stop script that hangs is ended without the application, which the kill below
            # then ends by itself and says so.
            user=self.user,
        )
        if done.timed_out:
            return say(
                "stop script {path} had not returned after {seconds} s and was ended",
                path=self.stop_script,
                seconds=round(place.stop_timeout_s, 3),
            )
        return None if done.code == 0 else how_it_went(self.stop_script, done)

    async def clean_up(self, place: Place) -> Outcome:
        """Kill what is left in the group."""
        return await clean_up(place)

    async def check(self, place: Place) -> Finding | None:
        """Run the test script; without one, the group tells, unless detectors know better."""
        try:
            group = place.host.cgroup_of(place.tree, place.resource)
            count = len(place.host.cgroup_pids(group))
            if self.test_script:
                return await self._test(place, count)
        except HostError as error:
            return Finding(ResourceState.UNKNOWN, error.text, "custom")
        if count:
            return Finding(ResourceState.RUNNING, say("processes running: {count}", count=count), "cgroup")
        if place.detected:
            return None
        return Finding(ResourceState.STOPPED, say("no process of it is left"), "cgroup")

    async def _test(self, place: Place, count: int) -> Finding:
        refusal = await place.host.script_problem(self.test_script)
        if refusal:
            return Finding(ResourceState.UNKNOWN, refusal, "test script")
        done = await place.host.run(
            [self.test_script, *self.test_arguments],
            timeout_s=self.test_timeout_ms / 1000,
            env=environment(place),
            user=self.user,
        )
        state = ResourceState.RUNNING if done.code == 0 else ResourceState.STOPPED
        because = say("test script {path} says running", path=self.test_script)
        if done.timed_out:
            state = ResourceState.UNKNOWN
            because = say(
                "test script {path} had not returned after {ms} ms",
                path=self.test_script,
                ms=self.test_timeout_ms,
            )
        elif done.code is None or done.code < 0 or done.code in COULD_NOT_RUN:
            state = ResourceState.UNKNOWN
            because = how_it_went(self.test_script, done)
        elif done.code != 0 and count:
            state = ResourceState.FAILED
            because = say(
                "test script {path} says stopped (exit {code}), but processes are left: {count}",
                path=self.test_script,
                code=done.code,
                count=count,
            )
        elif done.code != 0:
            because = say(
                "test script {path} says stopped (exit {code})", path=self.test_script, code=done.code
            )
        return Finding(state, because, "test script", asked=True)

    async def watch(self, place: Place) -> AsyncGenerator[Finding, None]:
        """The end of the last process in the group; of each of the first ones where a test script can judge it.

        Nothing to watch where the start left none there.
        """
        group = place.host.cgroup_of(place.tree, place.resource)
        if not place.host.populated(group):
            return
        one_ended = asyncio.Event()
        emptied = asyncio.ensure_future(place.host.emptied(group, told=one_ended.set))
        try:
            while self.test_script:  # each turn waits for an end; the worker ends the last one
                await either(emptied, one_ended)
                if emptied.done():
                    break
                one_ended.clear()
                found = await self.check(place)  # a part of it is gone: does the rest still do its work?
                if found is not None and found.state is not ResourceState.RUNNING and not emptied.done():
                    yield found
            ended = await emptied
        finally:
            emptied.cancel()
        violent = any(one.code for one in ended)
        yield Finding(ResourceState.STOPPED, last_words(ended), "cgroup", violent=violent)

    async def heal(self, place: Place) -> None:
        """Nothing can be put back without a start."""
