"""Waiting for one file descriptor on the loop; whoever waits gives the bound."""

from __future__ import annotations

import asyncio
import os


async def readable(fd: int) -> None:
    """Return when `fd` can be read without blocking."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def note() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(fd, note)
    try:
        await ready
    finally:
        loop.remove_reader(fd)


async def exited(pid: int) -> None:
    """Return when process `pid` has ended; at once if there is none."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        await readable(fd)
    finally:
        os.close(fd)
