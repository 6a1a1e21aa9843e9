"""What this node has to do with its arbitration guard: the socket, the lease line of the beats, and what to protect.

Decides what the guard is told about the configuration: the disk, the figures, and everything of each tree that an
emergency stop has to end. Whether it comes to one is decided by the guard.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import servha
from servha.config.document import Document, kind_on
from servha.core.guard_model import View
from servha.daemon.guard_link import GuardLink
from servha.daemon.leases import Leases
from servha.daemon.loop import boottime_s
from servha.daemon.quality import Hour
from servha.host import Host
from servha.resources import Service, VirtualAddress
from servha.wire.guard_talk import Belonging, Setup

SOCKET = "guard.sock"
WATCHDOG = "/dev/watchdog"


class Guarding:
    """Everything between servhad and servha-guardd. Called in the loop's thread only."""

    def __init__(
        self,
        *,
        us: str,
        host: Host,
        run_directory: Path,
        cluster_key_file: Path,
        told: Callable[[View | None], None],
        send_lease: Callable[[], None],
    ) -> None:
        self._us = us
        self._host = host
        self._key_file = cluster_key_file
        self._told = told
        self._send_lease = send_lease
        self._period_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.disk: Hour | None = None
        """What its rounds on the quorum disk took; None without one."""
        self.link = GuardLink(
            run_directory / SOCKET, told=self._view, promised=self._promised, rounds=self._rounds
        )
        self.leases = Leases(ping_heard=self.link.ping_heard, promise_heard=self.link.promise_heard)

    def adapt(self, document: Document) -> None:
        """Work under this configuration from now on."""
        setup = self._setup(document)
        self.disk = None if setup is None else self.disk or Hour()
        self.link.adapt(setup, belongings(document, self._us, self._host) if setup else ())
        self._period_s = document.timing.limits.round_s if setup else 0.0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if setup is not None:
            self._arm()

    def close(self) -> None:
        """End; what the guard holds stays held."""
        self.link.close()
        if self._timer is not None:
            self._timer.cancel()

    def _setup(self, document: Document) -> Setup | None:
        here = document.node(self._us)
        if here is None or not document.cluster.policy.leased:
            return None
        return Setup(
            cluster_id=document.cluster.id,
            node=here.id,
            device=document.cluster.quorum_disk,
            key_file=str(self._key_file),
            limits=document.timing.limits,
            watchdog=WATCHDOG,
            host=socket.gethostname(),
            version=servha.__version__,
        )

    def _view(self, view: View | None) -> None:
        self.leases.follow(view)
        self._told(view)

    def _promised(self, generation: int, token: int) -> None:
        self.leases.promise(generation, token)
        self._send_lease()

    def _rounds(self, took_s: tuple[float | None, ...]) -> None:
        if self.disk is None:
            return
        now_s = boottime_s()
        for one_s in took_s:
            self.disk.count(now_s, good=one_s is not None, lost=one_s is None, took_s=one_s)

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._period_s, self._tick)

    def _tick(self) -> None:
        if self.leases.due(boottime_s(), self._period_s):
            self._send_lease()
        self._arm()


def belongings(document: Document, us: str, host: Host) -> tuple[Belonging, ...]:
    """Return, by tree, what an emergency stop has to end on this node: addresses, control groups, file systems."""
    found = []
    for tree in document.trees:
        if us not in tree.hosts:
            continue
        kinds = [kind_on(resource, us) for resource in tree.resources]
        found.append(
            Belonging(
                tree=tree.id,
                addresses=tuple((k.nic, k.address) for k in kinds if isinstance(k, VirtualAddress)),
                scopes=(
                    host.tree_group(tree.name),
                    *(str(host.group_at(k.scope)) for k in kinds if isinstance(k, Service)),
                ),
                mounts=tuple(m for k in kinds if (m := getattr(k, "mount_point", ""))),
            )
        )
    return tuple(found)
