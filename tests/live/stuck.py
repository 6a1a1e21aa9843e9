"""Run inside a node: puts a process that no signal ends (state D) into the control group named as its argument.

It mounts a FUSE file system for itself alone, lets a child touch it, reads the kernel's request and never answers.
The child is free when this one ends, at the end of its input, which is what ends the connection.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys
from pathlib import Path

PLACE = "/run/stuck"
CLONE_NEWNS, MS_REC, MS_PRIVATE, MNT_DETACH = 0x20000, 0x4000, 0x40000, 2
INIT, GETATTR = 26, 3
_IN, _OUT = struct.Struct("=IIQQIIII"), struct.Struct("=IiQ")
_INIT_OUT = struct.Struct("=IIIIHHII36x")

libc = ctypes.CDLL(None, use_errno=True)


def checked(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def main(group: Path, shared: str) -> None:
    Path(PLACE).mkdir(exist_ok=True)
    if not Path("/dev/fuse").exists():
        os.mknod("/dev/fuse", 0o20600, os.makedev(10, 229))
    checked(libc.unshare(CLONE_NEWNS))
    checked(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None))
    libc.umount2(shared.encode(), MNT_DETACH)  # no second mount of the tree's disk, only of our own
    line = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={line},rootmode=40000,user_id=0,group_id=0"
    checked(libc.mount(b"stuck", PLACE.encode(), b"fuse", 0, options.encode()))
    if os.fork() == 0:
        os.close(line)
        try:
            (group / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
            Path(PLACE).stat()
        finally:
            os.kill(os.getppid(), signal.SIGKILL)  # it does not hang: nobody shall wait for that
    while True:
        request = os.read(line, 1 << 17)
        _, opcode, unique, *_ = _IN.unpack_from(request)
        if opcode == INIT:
            answer = _INIT_OUT.pack(7, 23, 0, 0, 1, 1, 4096, 1)
            os.write(line, _OUT.pack(_OUT.size + len(answer), 0, unique) + answer)
        elif opcode == GETATTR:
            print("stuck", flush=True)
            sys.stdin.read()  # until whoever started us has had enough
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
