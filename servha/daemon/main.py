"""servhad: reads its arguments, tells systemd how it fares, ends when told to.

SIGTERM means detach: the daemon ends and what it runs stays running (reading A17), unless the whole machine is
being shut down, in which case the trees are stopped first. The watchdog is fed only after a pass of the loop.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
from pathlib import Path

import sdnotify

import servha
from servha.config.node_file import PATH, NodeFile, load
from servha.core.words import say
from servha.daemon.service import Service
from servha.language import preferred_language, render

log = logging.getLogger("servha")

STATUS_EVERY_S = 1.0
EX_SOFTWARE = 70
EX_NOPERM = 77
EX_CONFIG = 78
EX_DETACHED = 200
"""Ended by `servha daemon detach`: the unit names this status as one after which it is not started again."""

SYSTEMD_IS_HERE = Path("/run/systemd/system").is_dir()


def parser(language: str = "en") -> argparse.ArgumentParser:
    """Return servhad's command line."""
    made = argparse.ArgumentParser(
        prog="servhad",
        description=render(
            say("The ServHA daemon: heartbeats, decisions and resources of this node. systemd starts it."),
            language,
        ),
    )
    made.add_argument(
        "--config",
        type=Path,
        default=PATH,
        metavar="FILE",
        help=render(say("this node's own settings; need not exist"), language) + " (%(default)s)",
    )
    made.add_argument("--debug", action="store_true", help=render(say("tell the log everything"), language))
    made.add_argument("--version", action="version", version=f"servhad {servha.__version__}")
    return made


def main() -> int:
    """Run the daemon; return its exit status."""
    language = preferred_language()
    args = parser(language).parse_args()
    settings, problems = load(args.config)
    if settings is None:
        for problem in problems:
            where, because, remedy = problem.path, problem.because, problem.remedy
            text = say("{path}: {because}; {remedy}", path=where, because=because, remedy=remedy)
            print(f"servhad: {render(text, language)}", file=sys.stderr)
        return EX_CONFIG
    if os.geteuid() != 0:
        text = say("servhad must run as root: it sets addresses and runs your scripts")
        print(render(text, language), file=sys.stderr)
        return EX_NOPERM
    logging.basicConfig(
        level=logging.DEBUG if args.debug or settings.debug else logging.INFO,
        format="%(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    os.umask(0o027)
    return asyncio.run(_serve(settings))


async def _serve(settings: NodeFile) -> int:
    loop = asyncio.get_running_loop()
    systemd = sdnotify.SystemdNotifier()
    service = Service(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: loop.create_task(_leave(service, systemd)))
    feeding = loop.create_task(_tell_systemd(service, systemd))
    try:
        await service.run(lambda sentence: _ready(systemd, sentence))
    finally:
        feeding.cancel()
        systemd.notify("STOPPING=1")
    if service.failed:
        return EX_SOFTWARE
    return EX_DETACHED if service.detached else 0


def _ready(systemd: sdnotify.SystemdNotifier, sentence: str) -> None:
    gc.collect()
    gc.freeze()  # what lives until the end need not be looked at by every collection
    systemd.notify(f"READY=1\nSTATUS={sentence}")


async def _leave(service: Service, systemd: sdnotify.SystemdNotifier) -> None:
    stop_trees = await _machine_is_going_down()
    log.info("told to end: the trees are %s", "stopped first" if stop_trees else "left running")
    systemd.notify("STOPPING=1")
    service.end(stop_trees=stop_trees)


async def _machine_is_going_down() -> bool:
    """Return whether systemd is shutting the machine down, and not just this service."""
    if not SYSTEMD_IS_HERE:
        return False
    asked = await asyncio.create_subprocess_exec(
        "systemctl", "is-system-running", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(2.0):
            output, _ = await asked.communicate()
    except TimeoutError:
        asked.kill()
        return False
    return output.strip() == b"stopping"


async def _tell_systemd(service: Service, systemd: sdnotify.SystemdNotifier) -> None:
    """Pet the watchdog for as long as the loop turns, and keep the status line current.

    Being scheduled here is the proof: a loop that hangs does not come by, nor does one whose core stands still
    although it asked to be woken.
    """
    watchdog_us = int(os.environ.get("WATCHDOG_USEC", "0") or 0)
    period_s = min(STATUS_EVERY_S, watchdog_us / 4e6) if watchdog_us else STATUS_EVERY_S
    said, passes, still_s = "", -1, 0.0
    while True:
        await asyncio.sleep(period_s)
        if service.node is not None:
            still_s = still_s + period_s if service.node.passes == passes else 0.0
            passes = service.node.passes
        if watchdog_us and still_s < 10 + STATUS_EVERY_S:
            systemd.notify("WATCHDOG=1")
        sentence = service.sentence()
        if sentence != said:
            said = sentence
            systemd.notify(f"STATUS={sentence}")


if __name__ == "__main__":
    sys.exit(main())
