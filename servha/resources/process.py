"""A program that this product itself keeps running: started in its own control group, asked to end by a signal.

It runs as long as a process lives in the group; whether it also does its work is for detectors to say. The group
is found again after a restart of the daemon, so the program is adopted, not started a second time.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Annotated, ClassVar

from msgspec import Meta

from servha.core.model import ResourceState
from servha.core.words import Text, say
from servha.host import FieldProblem, Finding, HostError, Outcome
from servha.resources.group import clean_up, how_it_went, kill_the_rest, last_words
from servha.resources.kind import Place, environment

LAUNCH = 'cd -- "$0" || exit 66; exec setsid --fork "$@"'
"""Not the shell's own `&`: it would have the program ignore SIGINT and SIGQUIT (POSIX 2.11)."""
NO_DIRECTORY = 66
SIGNALS = ("TERM", "INT", "QUIT", "HUP", "USR1", "USR2")


@dataclass(frozen=True, kw_only=True)
class Process:
    """A program that is kept running."""

    name: ClassVar[str] = "process"

    program: Annotated[str, Meta(description="Absolute path; it has to stay in the foreground")]
    arguments: Annotated[tuple[str, ...], Meta(description="Arguments of the program")] = ()
    user: Annotated[str, Meta(description="User as whom it runs")] = "root"
    directory: Annotated[str, Meta(description="Absolute path of its working directory")] = "/"
    environment: Annotated[
        tuple[str, ...], Meta(description="What it finds in its environment, each as NAME=value")
    ] = ()
    stop_signal: Annotated[
        str, Meta(description="Signal that asks it to end: TERM, INT, QUIT, HUP, USR1 or USR2")
    ] = "TERM"

    def problems(self) -> list[FieldProblem]:
        """Every reason why the fields may not be saved."""
        found = [
            FieldProblem(field, say("{path} is not an absolute path", path=path or "''"))
            for field, path in (("program", self.program), ("directory", self.directory))
            if not path.startswith("/") or any(c in path for c in "\0\n")
        ]
        if any("\0" in argument for argument in self.arguments):
            found.append(FieldProblem("arguments", say("an argument contains a NUL character")))
        for one in self.environment:
            name, equals, value = one.partition("=")
            if not equals or not name.isidentifier() or not name.isascii() or "\0" in value:
                found.append(
                    FieldProblem(
                        "environment",
                        say("{value} is not of the form NAME=value, as in LANG=C.UTF-8", value=repr(one)),
                    )
                )
        if not self.user or self.user.startswith("-") or any(c in self.user for c in "\0\n/: "):
            found.append(
                FieldProblem("user", say("{user} cannot be the name of a user", user=repr(self.user)))
            )
        if self.stop_signal not in SIGNALS:
            found.append(
                FieldProblem(
                    "stop_signal",
                    say(
                        "{value} does not ask a program to end: use one of {known}",
                        value=repr(self.stop_signal),
                        known=", ".join(SIGNALS),
                    ),
                )
            )
        return found

    async def unfit(self, place: Place) -> list[FieldProblem]:
        """Why the program could not be run here now."""
        refusal = await place.host.script_problem(self.program)
        if refusal is not None:
            return [FieldProblem("program", refusal)]
        try:
            done = await place.host.run(
                ["/bin/sh", "-c", 'cd -- "$0"', self.directory], timeout_s=5.0, user=self.user
            )
        except HostError as error:
            return [FieldProblem("user", error.text)]
        return [] if done.code == 0 else [FieldProblem("directory", self._no_directory())]

    def _no_directory(self) -> Text:
        return say(
            "user {user} cannot enter the working directory {path}: make it, or correct its permissions",
            user=self.user,
            path=self.directory,
        )

    async def start(self, place: Place) -> Outcome:
        """Put the program into the resource's group, in the background; already there is fine."""
        host = place.host
        try:
            refusal = await host.script_problem(self.program)
            if refusal:
                return Outcome(ok=False, because=refusal)
            group = host.cgroup_of(place.tree, place.resource)
            if count := len(host.cgroup_pids(group)):
                return Outcome(ok=True, because=say("it was running already: {count} processes", count=count))
            done = await host.run(
                ["/bin/sh", "-c", LAUNCH, self.directory, self.program, *self.arguments],
                timeout_s=place.start_timeout_s,
                env=dict(one.split("=", 1) for one in self.environment) | environment(place),
                cgroup=group,
                user=self.user,
                output=host.output_of(place.tree, place.resource),
            )
        except HostError as error:
            return Outcome(ok=False, because=error.text)
        if done.code == NO_DIRECTORY:
            return Outcome(ok=False, because=self._no_directory())
        if done.timed_out:
            return Outcome(
                ok=False,
                because=say(
                    "/bin/sh could not put {path} in the background within {seconds} s",
                    path=self.program,
                    seconds=round(place.start_timeout_s, 3),
                ),
            )
        if done.code != 0:
            return Outcome(ok=False, because=how_it_went(self.program, done))
        return Outcome(ok=True)

    async def stop(self, place: Place) -> Outcome:
        """Send the signal, wait for the group to empty, kill what is left; certain or not ok."""
        host = place.host
        try:
            group = host.cgroup_of(place.tree, place.resource)
            if not host.populated(group):
                return Outcome(ok=True, because=say("it was not running: no process of it is left"))
            host.signal_group(group, int(signal.Signals[f"SIG{self.stop_signal}"]))
        except HostError as error:
            return Outcome(ok=False, because=error.text)
        try:
            async with asyncio.timeout(place.stop_timeout_s):
                await host.emptied(group)
        except TimeoutError:
            why = say(
                "{seconds} s after signal {signal} it had not ended",
                seconds=round(place.stop_timeout_s, 3),
                signal=self.stop_signal,
            )
            return await kill_the_rest(place, why)
        return Outcome(ok=True)

    async def clean_up(self, place: Place) -> Outcome:
        """Kill what is left in the group."""
        return await clean_up(place)

    async def check(self, place: Place) -> Finding:
        """Look whether a process lives in the group."""
        try:
            count = len(place.host.cgroup_pids(place.host.cgroup_of(place.tree, place.resource)))
        except HostError as error:
            return Finding(ResourceState.UNKNOWN, error.text, "cgroup")
        if count:
            return Finding(ResourceState.RUNNING, say("processes running: {count}", count=count), "cgroup")
        return Finding(ResourceState.STOPPED, say("no process of it is left"), "cgroup")

    async def watch(self, place: Place) -> AsyncGenerator[Finding, None]:
        """The end of the last process in the group, as the kernel tells it."""
        ended = await place.host.emptied(place.host.cgroup_of(place.tree, place.resource))
        violent = any(one.code for one in ended)
        yield Finding(ResourceState.STOPPED, last_words(ended), "cgroup", violent=violent)

    async def heal(self, place: Place) -> None:
        """Nothing can be put back without a start."""
