"""The base system of the machines: a small Debian, built once and kept.

Building takes about half a minute and needs the package mirror of this machine, so the result stays in a cache
folder; its name tells what it was made from, and a changed recipe makes a new one. Machines never write to it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from pathlib import Path

CACHE = Path("/var/cache/servha-machines")
KEPT_NS = 7 * 24 * 3600 * 10**9
"""A base that nobody has used for so long is removed; a younger one may be under machines of another checkout."""
SUITE = "bookworm"
PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "iproute2",
    "openssh-server",
    "iputils-ping",
    "python3",
    "python3-apt",
    "procps",
    "e2fsprogs",
    "curl",
    # what the roles of the collection look for, or set up
    "net-tools",
    "parted",
    "fdisk",
    "nftables",
    "iptables",
    "ufw",
    "firewalld",
)
BROUGHT = "psmisc"
"""A package that is not installed: it lies in a repository on the machine's own disk, for the role that installs."""
REPOSITORY = "/srv/repository"
HOOKS = (
    # Debian starts a firewall at boot as soon as it is installed.
    'systemctl --root="$1" --quiet disable firewalld ufw nftables',
    f'mkdir -p "$1{REPOSITORY}" && chroot "$1" sh -c "cd {REPOSITORY} && apt-get -qq download {BROUGHT}"',
    (
        f'cd "$1{REPOSITORY}" && file=$(ls {BROUGHT}_*.deb) && {{ dpkg-deb -f $file; echo Filename: ./$file;'
        " echo Size: $(stat -c %s $file); echo SHA256: $(sha256sum <$file | cut -d' ' -f1); } >Packages"
    ),
)
LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")
# What the builder copies from the machine it runs on. /etc/machine-id stays, empty as it is: without it systemd
# would hold every boot for the first one and enable whatever is installed.
NOT_TO_BE_SHARED = ("etc/hostname", "etc/resolv.conf")


def base() -> Path:
    """The folder of the base system; builds it when there is none for this recipe."""
    CACHE.mkdir(parents=True, exist_ok=True)
    recipe = repr((SUITE, PACKAGES, LEFT_OUT, NOT_TO_BE_SHARED, HOOKS))
    wanted = CACHE / f"base-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not wanted.is_dir():
            for old in CACHE.glob("base-*"):
                if time.time_ns() - old.stat().st_mtime_ns > KEPT_NS:
                    shutil.rmtree(old)
            build(wanted)
        os.utime(wanted)
    return wanted


def build(folder: Path) -> None:
    """Build beside the final place and rename at the end: half a system never looks like a whole one."""
    unfinished = folder.with_name(f"base-unfinished-{folder.name.removeprefix('base-')}")
    options = [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    options += [f"--customize-hook={hook}" for hook in HOOKS]
    made = subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}", *options, SUITE]
        + [str(unfinished)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise RuntimeError(f"mmdebstrap could not build the base system:\n{made.stderr[-2000:]}")
    for name in NOT_TO_BE_SHARED:
        (unfinished / name).unlink(missing_ok=True)
    unfinished.rename(folder)
