"""Builds what is carried to a site without internet.

    python -m tools.dist [--out build] [--version 0.2.0] [--arch x86_64]

    build/ServHA-Cluster_Setup-VERSION-ARCH.tar.gz   install.sh, wheels, units, manual pages, checksums, SBOM
    build/servha_VERSION_ARCH.deb                    the same for Debian's package manager

The same commit and the same lock give the same bytes: every time in the files is that of the commit, or
SOURCE_DATE_EPOCH where it is set. Wheels come by hash out of requirements/runtime.lock and are kept in .cache.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from servha import __version__
from tools.dist import archive, bundle, debian

ROOT = Path(__file__).parent.parent.parent
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""Name of the kernel -> name of Debian."""


def build(out: Path, *, version: str, arch: str, what: Sequence[str] = ("tarball", "package")) -> list[Path]:
    """Make what is asked for in `out`; return where it is."""
    epoch = source_date(ROOT)
    os.environ["SOURCE_DATE_EPOCH"] = str(epoch)
    out.mkdir(parents=True, exist_ok=True)
    folder = bundle.fill(ROOT, version=version, arch=arch, epoch=epoch)
    made = []
    if "tarball" in what:
        made.append(out / f"{bundle.NAME}-{version}-{arch}.tar.gz")
        archive.write(folder, made[-1], epoch=epoch)
    if "package" in what:
        made.append(out / f"servha_{version}_{ARCHITECTURES[arch]}.deb")
        debian.write(folder, made[-1], version=version, architecture=ARCHITECTURES[arch])
    return made


def source_date(root: Path) -> int:
    """Seconds since 1970 that every file gets: SOURCE_DATE_EPOCH, else the time of the commit."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return int(given)
    told = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=root, capture_output=True, check=True)
    return int(told.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.dist", description="offline installer and package")
    parser.add_argument("--out", type=Path, default=ROOT / "build", help="folder for both files (%(default)s)")
    parser.add_argument("--version", default=__version__, help="version number to build (%(default)s)")
    parser.add_argument("--arch", choices=sorted(ARCHITECTURES), default="x86_64", help="(%(default)s)")
    args = parser.parse_args()
    try:
        for made in build(args.out, version=args.version, arch=args.arch):
            print(f"{made}: {made.stat().st_size // 1024} KiB")
    except subprocess.CalledProcessError as error:
        print(f"dist: {error}\n{error.stderr or ''}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
