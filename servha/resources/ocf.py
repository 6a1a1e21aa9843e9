"""Anything that an installed OCF resource agent can start, stop and watch (OCF Resource Agent API 1.0 and 1.1).

The agent decides what running means; here it is asked, in the environment it expects, and its exit codes are
believed only where the standard gives them that meaning: 7 is "stopped" from monitor alone, and not while
processes of it live in its control group. Everything else that is not 0 is a failure, or "cannot tell".

An agent is run as a plain resource. Promoting, cloning, migrating and reloading are Pacemaker's, and so are the
crm_* and attrd_updater commands: an agent that calls them (replication of pgsql, mysql, redis) fails, and its
failure names the command.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Annotated, ClassVar
from weakref import WeakKeyDictionary

from msgspec import Meta

from servha.core.model import ResourceState
from servha.core.words import Text, say
from servha.host import Completed, FieldProblem, Finding, Host, HostError, Outcome
from servha.resources import ocf_metadata
from servha.resources.group import either, how_it_went, kill_the_rest
from servha.resources.kind import Place, environment
from servha.resources.ocf_answers import CANNOT_HERE, NOT_RUNNING, OK, said, state_of
from servha.resources.ocf_metadata import Metadata

RSCTMP = "/run/resource-agents"
"""Where agents keep what they must know until the node is started anew (HA_RSCTMP of Debian's agents)."""
META_DATA_TIMEOUT_S = 5.0
MONITOR_TIMEOUT_S = 20.0
"""For an agent that advises nothing."""
_known: WeakKeyDictionary[Host, dict[str, Metadata]] = WeakKeyDictionary()


@dataclass(frozen=True, kw_only=True)
class Ocf:
    """OCF resource agent: whatever an installed agent can run."""

    name: ClassVar[str] = "ocf"

    agent: Annotated[
        str,
        Meta(description="Agent, as in ocf:heartbeat:Dummy; `servha resource agents` lists those installed"),
    ]
    parameters: Annotated[
        dict[str, str],
        Meta(description="Parameters of the agent; `servha resource agents NAME` describes them"),
    ] = field(default_factory=dict)
    monitor_timeout_ms: Annotated[
        int,
        Meta(
            ge=0,
            le=600_000,
            description="A monitor still running after this long could not tell; 0: as advised",
        ),
    ] = 0
    check_level: Annotated[
        int, Meta(ge=0, le=1000, description="OCF_CHECK_LEVEL: how deep the agent's monitor looks")
    ] = 0
    validate: Annotated[
        bool,
        Meta(description="Ask validate-all; not for what needs a disk that is mounted where it runs only"),
    ] = True
    shorter_timeouts: Annotated[
        bool, Meta(description="Allow time limits shorter than the agent advises")
    ] = False

    def problems(self) -> list[FieldProblem]:
        """Every reason why the fields may not be saved."""
        found = []
        if ocf_metadata.split(self.agent) is None:
            found.append(
                FieldProblem(
                    "agent",
                    say(
                        "{agent} is not the name of an OCF agent: write ocf:PROVIDER:TYPE, as in"
                        " ocf:heartbeat:Dummy",
                        agent=self.agent,
                    ),
                )
            )
        for name, value in self.parameters.items():
            if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*", name):
                found.append(
                    FieldProblem(
                        "parameters", say("{name} cannot be the name of a parameter", name=repr(name))
                    )
                )
            if "\0" in value:
                found.append(
                    FieldProblem("parameters", say("parameter {name} contains a NUL character", name=name))
                )
        return found

    @property
    def path(self) -> str:
        """The agent's file."""
        provider, kind = ocf_metadata.split(self.agent) or ("", self.agent)
        return str(ocf_metadata.path_of(provider, kind))

    async def unfit(self, place: Place) -> list[FieldProblem]:
        """Why the agent could not run here: not installed, parameters it does not know, what validate-all says."""
        refusal = await place.host.script_problem(self.path)
        if refusal:
            hint = say("{reason}; `servha resource agents` lists the agents of this node", reason=refusal)
            return [FieldProblem("agent", hint)]
        try:
            knows = await self._metadata(place, fresh=True)
            found = [FieldProblem("parameters", text) for text in knows.problems(self.agent, self.parameters)]
            if not self.shorter_timeouts:
                found += self._too_short(knows, place)
            if not found and self.validate and "validate-all" in knows.actions:
                advised_s = knows.actions["validate-all"] or MONITOR_TIMEOUT_S
                done = await self._run(place, "validate-all", advised_s)
                if done.code != OK:
                    because = say(
                        "{said}; if what it misses lies on a disk that is mounted only where it runs: validate=false",
                        said=said(self.agent, "validate-all", done),
                    )
                    found.append(FieldProblem("parameters", because))
        except HostError as error:
            return [FieldProblem("agent", error.text)]
        return found

    def _too_short(self, knows: Metadata, place: Place) -> list[FieldProblem]:
        limits = [
            ("start", "start_timeout_s", place.start_timeout_s),
            ("stop", "stop_timeout_s", place.stop_timeout_s),
        ]
        if self.monitor_timeout_ms:
            limits.append(("monitor", "monitor_timeout_ms", self.monitor_timeout_ms / 1000))
        return [
            FieldProblem(
                name,
                say(
                    "{seconds} s for {action} are less than the {advised} s that {agent} advises: give it as much, or"
                    " set shorter_timeouts=true",
                    seconds=round(limit_s, 3),
                    action=action,
                    advised=round(knows.actions[action], 3),
                    agent=self.agent,
                ),
            )
            for action, name, limit_s in limits
            if limit_s < knows.actions.get(action, 0.0)
        ]

    async def start(self, place: Place) -> Outcome:
        """Run the agent's start inside the resource's group; the agent says itself when it runs already."""
        try:
            refusal = await place.host.script_problem(self.path)
            if refusal:
                return Outcome(ok=False, because=refusal)
            done = await self._run(place, "start", place.start_timeout_s)
        except HostError as error:
            return Outcome(ok=False, because=error.text)
        return (
            Outcome(ok=True)
            if done.code == OK
            else Outcome(ok=False, because=said(self.agent, "start", done))
        )

    async def stop(self, place: Place) -> Outcome:
        """Run the agent's stop, then kill what is left in the group; only 0 from stop says that it is stopped."""
        host = place.host
        try:
            refusal = await host.script_problem(self.path)
            if refusal:
                return Outcome(ok=False, because=refusal)
            done = await self._run(place, "stop", place.stop_timeout_s)
            group = host.cgroup_of(place.tree, place.resource)
            count = len(host.cgroup_pids(group))
        except HostError as error:
            return Outcome(ok=False, because=error.text)
        failure = None if done.code == OK else said(self.agent, "stop", done)
        if count:
            why = failure or say("the agent's stop left them")
            killed = await kill_the_rest(place, why)
            # An address or a mount is no process: after a stop that failed only monitor can tell.
            return Outcome(ok=killed.ok and failure is None, because=killed.because)
        return Outcome(ok=failure is None, because=failure or Text(""))

    async def clean_up(self, place: Place) -> Outcome:
        """The same as a stop: only the agent knows what is left of a dead one besides processes."""
        return await self.stop(place)

    async def check(self, place: Place) -> Finding | None:
        """Run the agent's monitor."""
        try:
            limit_s = self.monitor_timeout_ms / 1000 or await self._advised_s(place)
            done = await self._run(place, "monitor", limit_s)
            count = len(place.host.cgroup_pids(place.host.cgroup_of(place.tree, place.resource)))
            state = state_of(done, count)
            because = said(self.agent, "monitor", done)
            if done.code in CANNOT_HERE and not count:
                probe = await self._run(place, "monitor", limit_s, probe=True)
                if probe.code == NOT_RUNNING:
                    state = ResourceState.STOPPED
                    because = say("it is not running, and could not run here now: {why}", why=because)
        except HostError as error:
            return Finding(ResourceState.UNKNOWN, error.text, "ocf")
        if done.code == NOT_RUNNING and count:
            because = say("{said}, but processes are left: {count}", said=because, count=count)
        return Finding(state, because, "ocf", asked=True)

    async def watch(self, place: Place) -> AsyncGenerator[Finding, None]:
        """When a process that the start left ends, the agent is asked; nothing to watch where it left none."""
        group = place.host.cgroup_of(place.tree, place.resource)
        if not place.host.populated(group):
            return
        one_ended = asyncio.Event()
        emptied = asyncio.ensure_future(place.host.emptied(group, told=one_ended.set))
        try:
            while True:  # each turn waits for an end; the last one ends it
                await either(emptied, one_ended)
                last = emptied.done()
                one_ended.clear()
                found = await self.check(place)
                if found is not None and found.state is not ResourceState.RUNNING:
                    yield found
                if last:
                    return
        finally:
            emptied.cancel()

    async def heal(self, place: Place) -> None:
        """Nothing can be put back without a start."""

    # --- the agent ------------------------------------------------------------------------------------------

    async def _advised_s(self, place: Place) -> float:
        try:
            knows = await self._metadata(place)
        except HostError:
            return MONITOR_TIMEOUT_S
        return knows.actions.get("monitor", 0.0) or MONITOR_TIMEOUT_S

    async def _metadata(self, place: Place, *, fresh: bool = False) -> Metadata:
        """What the agent says of itself, kept for later looks. Raises HostError when it cannot be read."""
        kept = _known.setdefault(place.host, {})
        if self.path in kept and not fresh:
            return kept[self.path]
        done = await self._run(place, "meta-data", META_DATA_TIMEOUT_S)
        if done.code != OK:
            raise HostError(said(self.agent, "meta-data", done))
        try:
            kept[self.path] = ocf_metadata.metadata_of(done.output)
        except ValueError as error:
            raise HostError(
                say("{agent} tells nothing usable of itself: {reason}", agent=self.agent, reason=str(error))
            ) from error
        return kept[self.path]

    async def _run(self, place: Place, action: str, limit_s: float, *, probe: bool = False) -> Completed:
        host = place.host
        env = self.environment_of(place, limit_s, probe=probe)
        if action in {"start", "validate-all"}:
            made = await host.run(["install", "-d", "-m", "0755", RSCTMP], timeout_s=limit_s)
            if made.code != 0:
                what = f"install -d {RSCTMP}"
                raise HostError(said(what, action, made) if made.timed_out else how_it_went(what, made))
        if action == "start":
            group, output = (
                host.cgroup_of(place.tree, place.resource),
                host.output_of(place.tree, place.resource),
            )
            return await host.run(
                [self.path, action], timeout_s=limit_s, env=env, cgroup=group, output=output
            )
        # A group of its own: what hangs is ended without the application.
        return await host.run([self.path, action], timeout_s=limit_s, env=env)

    def environment_of(self, place: Place, limit_s: float, *, probe: bool = False) -> dict[str, str]:
        """What the standard promises an agent, and what agents read of Pacemaker's without needing it."""
        provider, kind = ocf_metadata.split(self.agent) or ("", self.agent)
        return {
            **environment(place),
            "OCF_ROOT": ocf_metadata.ROOT,
            "OCF_RA_VERSION_MAJOR": "1",
            "OCF_RA_VERSION_MINOR": "1",
            "OCF_RESOURCE_INSTANCE": f"{place.tree}@{place.resource}",
            "OCF_RESOURCE_TYPE": kind,
            "OCF_RESOURCE_PROVIDER": provider,
            "OCF_CHECK_LEVEL": str(self.check_level),
            "OCF_EXIT_REASON_PREFIX": "ocf-exit-reason:",
            "HA_RSCTMP": RSCTMP,
            "HA_LOGFACILITY": "none",
            # Milliseconds; Filesystem and apache divide their own patience from it. Interval 0 is a probe.
            "OCF_RESKEY_CRM_meta_timeout": str(round(limit_s * 1000)),
            "OCF_RESKEY_CRM_meta_interval": "0" if probe else "10000",
            **{f"OCF_RESKEY_{name}": value for name, value in self.parameters.items()},
        }
