"""A service that systemd runs: started and stopped through systemctl, watched by its main process and its group.

What happens inside the service is systemd's business, and so is its own `Restart=`; we say what the unit's state
means for the tree. Asked through systemctl: it needs no message bus (it talks to systemd itself when we are root)
and no library, and what it waits for does not hold up the daemon.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from servha.core.model import ResourceState
from servha.core.words import Text, say
from servha.host import FieldProblem, Finding, Host, HostError, Outcome
from servha.resources.group import KILL_WAIT_S, how_it_went
from servha.resources.kind import Place

UNIT = re.compile(r"[A-Za-z0-9:_.\\-]+(@[A-Za-z0-9:_.\\-]+)?\.service")
OURS = ("servhad.service", "servha-guardd.service")
PROPERTIES = ("LoadState", "ActiveState", "SubState", "Result", "MainPID", "ControlGroup", "UnitFileState")
SHOW_TIMEOUT_S = 10.0
VIOLENT = ("signal", "core-dump", "exit-code", "watchdog", "timeout", "oom-kill")
SETTLE_S = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""systemd takes a moment to notice what the kernel has told us already."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What systemd says about a unit (org.freedesktop.systemd1(5)); `pid` is 0 where it has no main process."""

    load: str
    active: str
    sub: str
    result: str
    pid: int
    group: str
    file: str


@dataclass(frozen=True, kw_only=True)
class Service:
    """A systemd service."""

    name: ClassVar[str] = "service"

    unit: Annotated[str, Meta(description="Name of the unit, such as nginx.service")]

    def problems(self) -> list[FieldProblem]:
        """Every reason why the fields may not be saved."""
        if not UNIT.fullmatch(self.unit) or len(self.unit) > 255:
            trouble = say(
                "{unit} is not the name of a service unit: write it as in nginx.service, an instance of a"
                " template as in app@one.service",
                unit=repr(self.unit),
            )
            return [FieldProblem("unit", trouble)]
        if self.unit in OURS:
            trouble = say(
                "{unit} runs the trees and cannot be part of one: name another unit", unit=self.unit
            )
            return [FieldProblem("unit", trouble)]
        return []

    @property
    def scope(self) -> str:
        """The control group in which systemd runs it, unless the unit file names another slice."""
        return f"/system.slice/{self.unit}"

    async def unfit(self, place: Place) -> list[FieldProblem]:
        """Why systemd could not run it here, or would run it here without being asked by us."""
        try:
            unit = await self._show(place.host)
        except HostError as error:
            return [FieldProblem("unit", error.text)]
        trouble = self._unloaded(unit)
        if trouble is None and unit.file == "enabled":
            trouble = say(
                "{unit} is enabled on this node: it would start by itself at boot, on both nodes:"
                " systemctl disable {unit}",
                unit=self.unit,
            )
        elif trouble is None and unit.file == "enabled-runtime":
            trouble = say(
                "something enables {unit} anew at every boot, so that it would start by itself on both nodes; systemctl"
                " disable does not help: turn it off where it is set (PostgreSQL of Debian: write manual into"
                " /etc/postgresql/VERSION/CLUSTER/start.conf, then systemctl daemon-reload)",
                unit=self.unit,
            )
        return [FieldProblem("unit", trouble)] if trouble else []

    def _unloaded(self, unit: Unit) -> Text | None:
        if unit.load == "loaded":
            return None
        if unit.load == "not-found":
            return say(
                "this node has no unit {unit}: install it, then systemctl daemon-reload", unit=self.unit
            )
        if unit.load == "masked":
            return say("{unit} is masked on this node: systemctl unmask {unit}", unit=self.unit)
        return say(
            "systemd cannot load {unit} ({state}): systemd-analyze verify {unit}",
            unit=self.unit,
            state=unit.load,
        )

    async def start(self, place: Place) -> Outcome:
        """Have systemd start it; it returns when the unit says that it is ready. Running already is fine."""
        try:
            unit = await self._show(place.host)
            if trouble := self._unloaded(unit):
                return Outcome(ok=False, because=trouble)
            trouble = await self._systemctl(place.host, "start", timeout_s=place.start_timeout_s)
        except HostError as error:
            return Outcome(ok=False, because=error.text)
        return Outcome(ok=trouble is None, because=trouble or Text(""))

    async def stop(self, place: Place) -> Outcome:
        """Have systemd stop it; after the time limit its processes are killed. Absent is fine."""
        try:
            unit = await self._show(place.host)
            if unit.load == "not-found" and unit.active == "inactive":
                return Outcome(ok=True, because=_meaning(self.unit, unit, populated=False).because)
            trouble = await self._systemctl(place.host, "stop", timeout_s=place.stop_timeout_s)
            if trouble is None:
                # The end may have left the unit "failed": cleared, or it would be taken for a fault tomorrow.
                await self._systemctl(place.host, "reset-failed", timeout_s=SHOW_TIMEOUT_S)
                return Outcome(ok=True)
            return await self._kill(place, trouble)
        except HostError as error:
            return Outcome(ok=False, because=error.text)

    async def clean_up(self, place: Place) -> Outcome:
        """Kill its processes, and make systemd forget that it was to run."""
        try:
            unit = await self._show(place.host)
            if unit.active == "inactive":
                return Outcome(ok=True)
            return await self._kill(place, say("left over from a dead start"))
        except HostError as error:
            return Outcome(ok=False, because=error.text)

    async def _kill(self, place: Place, why: Text) -> Outcome:
        """Kill every process of it; the stop after that keeps systemd from starting it again by itself."""
        host = place.host
        # A unit without processes cannot be killed, and says so: what counts is what is left afterwards.
        await self._systemctl(host, "kill", "--signal=KILL", timeout_s=KILL_WAIT_S)
        trouble = await self._systemctl(host, "stop", timeout_s=KILL_WAIT_S)
        await self._systemctl(host, "reset-failed", timeout_s=KILL_WAIT_S)
        found = await self.check(place)
        if found.state is ResourceState.STOPPED:
            return Outcome(ok=True, because=say("{unit} was killed: {why}", unit=self.unit, why=why))
        return Outcome(
            ok=False,
            because=say(
                "{unit} survives being killed ({state}): {why}",
                unit=self.unit,
                state=found.because,
                why=trouble or why,
            ),
        )

    async def check(self, place: Place) -> Finding:
        """Ask systemd for the unit's state."""
        try:
            unit = await self._show(place.host)
            return _meaning(self.unit, unit, populated=_populated(place.host, unit))
        except HostError as error:
            return Finding(ResourceState.UNKNOWN, error.text, "systemd")

    async def watch(self, place: Place) -> AsyncGenerator[Finding, None]:
        """The end of the main process or of the last one of the unit; nothing where it has no processes."""
        host = place.host
        try:
            unit = await self._show(host)
            while unit.pid or _populated(
                host, unit
            ):  # each turn waits for an end; the worker ends the last one
                await _an_end(host, unit)
                before, unit = unit, await self._settled(host, unit)
                found = _meaning(self.unit, unit, populated=_populated(host, unit))
                if found.state is not ResourceState.RUNNING:
                    yield found
                    return
                if before == unit:
                    return  # active without the process: nothing more will be told, the poll goes on
        except HostError:
            return

    async def _settled(self, host: Host, before: Unit) -> Unit:
        """The unit once systemd has noticed the end too, or a while later."""
        unit = before
        for pause_s in SETTLE_S:
            await asyncio.sleep(pause_s)
            unit = await self._show(host)
            if unit != before and unit.active != "deactivating":
                break
        return unit

    async def heal(self, place: Place) -> None:
        """Nothing can be put back without a start."""

    async def _show(self, host: Host) -> Unit:
        done = await host.run(
            ["systemctl", "show", f"--property={','.join(PROPERTIES)}", "--", self.unit],
            timeout_s=SHOW_TIMEOUT_S,
        )
        said = dict(line.split("=", 1) for line in done.output.splitlines() if "=" in line)
        if done.timed_out:
            raise HostError(say("systemd did not say within {seconds} s how {unit} is",
                                seconds=SHOW_TIMEOUT_S, unit=self.unit))  # fmt: skip
        if done.code != 0 or not {"LoadState", "ActiveState"} <= said.keys():
            raise HostError(
                say(
                    "systemd could not say how {unit} is: {why}",
                    unit=self.unit,
                    why=how_it_went("systemctl", done),
                )
            )
        pid = said.get("MainPID", "")
        return Unit(
            load=said["LoadState"],
            active=said["ActiveState"],
            sub=said.get("SubState", ""),
            result=said.get("Result", ""),
            pid=int(pid) if pid.isdecimal() else 0,
            group=said.get("ControlGroup", ""),
            file=said.get("UnitFileState", ""),
        )

    async def _systemctl(self, host: Host, verb: str, *options: str, timeout_s: float) -> Text | None:
        """Ask systemd for something; what went wrong, or None."""
        done = await host.run(
            ["systemctl", verb, "--no-ask-password", *options, "--", self.unit], timeout_s=timeout_s
        )
        if done.timed_out:
            return say(
                "systemctl {verb} {unit} had not returned after {seconds} s: journalctl -u {unit}",
                verb=verb,
                unit=self.unit,
                seconds=round(timeout_s, 3),
            )
        return None if done.code == 0 else how_it_went(f"systemctl {verb} {self.unit}", done)


def _meaning(name: str, unit: Unit, *, populated: bool) -> Finding:
    """What the unit's state means (systemd.unit(5)): "could not tell" while systemd is starting it."""
    said = f"{unit.active} ({unit.sub})"
    if unit.active in ("active", "reloading", "refreshing"):
        return Finding(ResourceState.RUNNING, say("{unit} is {state}", unit=name, state=said), "systemd")
    if unit.active == "activating" and unit.sub.startswith("auto-restart"):
        because = say(
            "{unit} ended ({result}) and systemd will start it again", unit=name, result=unit.result
        )
        return Finding(ResourceState.FAILED, because, "systemd", violent=unit.result in VIOLENT)
    if unit.active in ("inactive", "failed"):
        because = say("{unit} is {state}", unit=name, state=said)
        if unit.active == "failed":
            because = say("{unit} has failed: {result}", unit=name, result=unit.result)
        if populated:
            because = say("{state}, but processes of it are left", state=because)
        state = ResourceState.FAILED if populated else ResourceState.STOPPED
        return Finding(state, because, "systemd", violent=unit.result in VIOLENT)
    if unit.active == "deactivating":
        return Finding(ResourceState.FAILED, say("{unit} is being stopped", unit=name), "systemd")
    return Finding(ResourceState.UNKNOWN, say("{unit} is {state}", unit=name, state=said), "systemd")


def _group(host: Host, unit: Unit) -> Path | None:
    return host.group_at(unit.group) if unit.group else None


def _populated(host: Host, unit: Unit) -> bool:
    group = _group(host, unit)
    return group is not None and host.populated(group)


async def _an_end(host: Host, unit: Unit) -> None:
    """Wait until the unit's main process or the last of its processes has ended."""
    group = _group(host, unit)
    waiting: set[asyncio.Future[Any]] = set()
    if unit.pid:
        waiting.add(asyncio.ensure_future(host.exited(unit.pid)))
    if group is not None and host.populated(group):
        waiting.add(asyncio.ensure_future(host.emptied(group)))
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waiting:
            one.cancel()
