"""What the kernel says about block devices that go away, by netlink (NETLINK_KOBJECT_UEVENT, the kernel's own group).

It only says that something happened to some disk; which one, and what it means, whoever is told looks up. New disks
are of no interest here. Other programs' messages are passed over.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterator

KERNEL_GROUP = 1
NETLINK_KOBJECT_UEVENT = 15
MESSAGE_BYTES_MAX = 16 * 1024
TAKEN_AT_ONCE_MAX = 256
ACTIONS = (b"remove", b"offline")

log = logging.getLogger(__name__)


def takes_a_disk_away(message: bytes) -> bool:
    r"""Whether a message says that a block device has gone, or was made read-only.

    >>> takes_a_disk_away(b"remove@/devices/sdb\0ACTION=remove\0DEVPATH=/devices/sdb\0SUBSYSTEM=block\0")
    True
    >>> takes_a_disk_away(b"add@/devices/sdb\0ACTION=add\0DEVPATH=/devices/sdb\0SUBSYSTEM=block\0")
    False
    """
    _, *words = message.split(b"\0")
    said = dict(word.partition(b"=")[::2] for word in words if b"=" in word)
    if said.get(b"SUBSYSTEM") != b"block":
        return False
    return said.get(b"ACTION") in ACTIONS or said.get(b"DISK_RO") == b"1"


@contextlib.contextmanager
def block_devices_going(tell: Callable[[], None]) -> Iterator[None]:
    """Call `tell` in the loop for every such message, and when messages were lost. Where none can be had: never."""
    loop = asyncio.get_running_loop()
    with socket.socket(
        socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT
    ) as ear:
        ear.setblocking(False)  # noqa: FBT003
        try:
            ear.bind((0, KERNEL_GROUP))
        except OSError as error:
            log.warning("the kernel does not tell of disks that go away: %s", error)
            yield
            return

        def take() -> None:
            for _ in range(TAKEN_AT_ONCE_MAX):
                try:
                    message, (sender, _) = ear.recvfrom(MESSAGE_BYTES_MAX)
                except BlockingIOError:
                    return
                except OSError:  # more came than the socket holds
                    tell()
                    return
                if sender == 0 and takes_a_disk_away(message):
                    tell()

        loop.add_reader(ear.fileno(), take)
        try:
            yield
        finally:
            loop.remove_reader(ear.fileno())
