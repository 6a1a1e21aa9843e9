"""A real ext4 on a loop device, mounted in a mount namespace of the test's own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from servha.lab import disk as lab_disk
from servha.lab import kernel

CLONE_FS = 0x200


@dataclass(frozen=True)
class Disk:
    device: str
    where: Path


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if os.geteuid() != 0:
        pytest.skip("needs root and namespaces of its own")
    before = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    directory = Path.cwd()
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", Path("/"), flags=kernel.MS_REC | kernel.MS_PRIVATE)
    image, where = tmp_path / "disk.img", tmp_path / "srv"
    where.mkdir()
    lab_disk.make_file_system(image, 96)
    made = subprocess.run(["losetup", "--find", "--show", image], check=True, capture_output=True, text=True)
    device = made.stdout.strip()
    try:
        subprocess.run(["mount", device, where], check=True)
        yield Disk(device, where)
    finally:
        subprocess.run(["umount", "--all-targets", "--recursive", device], check=False, capture_output=True)
        subprocess.run(["losetup", "--detach", device], check=True)
        # Threads that are still there share our place in the file system; from one of our own we can go back.
        kernel.unshare(CLONE_FS)
        kernel.setns(before, kernel.CLONE_NEWNS)
        os.close(before)
        os.chdir(directory)
