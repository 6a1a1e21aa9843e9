"""The Debian package: the same files as the offline installer's, laid out at build time.

Needs dpkg-deb alone. One package serves every Python that the wheels fit: compiled libraries carry the number of their
Python in their names and lie side by side in one folder, to which the folder of each Python points.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

from installer import lay_out
from tools.dist.wheels import PYTHONS

PREFIX = Path("usr/share/servha")
SCRIPTS = ("preinst", "postinst", "prerm", "postrm")
HERE = Path(__file__).parent.parent.parent / "installer"

CONTROL = """Package: servha
Version: {version}
Architecture: {architecture}
Maintainer: ServHA <root@localhost>
Installed-Size: {size}
Depends: python3 (>= {first}), python3 (<< {beyond}), libc6 (>= 2.28), systemd (>= 239), iproute2, util-linux
Recommends: psmisc, procps, parted, e2fsprogs, iputils-ping
Section: admin
Priority: optional
Description: keeps one application running on one of two servers
 When the server it runs on fails, the other one takes over its address and its disks and starts it there, by
 itself. For places with two servers, no third machine and often no internet.
"""

COPYRIGHT = """Upstream-Name: ServHA

Files: *
Copyright: The ServHA authors
License: Apache-2.0
 The full text is in /usr/share/common-licenses/Apache-2.0. The libraries below /usr/share/servha/lib carry their
 licences in their *.dist-info folders; /usr/share/servha/sbom.cdx.json lists them.
"""


def write(bundle: Path, target: Path, *, version: str, architecture: str) -> None:
    """Build the package `target` from the filled folder of the offline installer."""
    tree = bundle.parent / "package"
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(bundle / "root", tree)
    completions = tree / "usr/share/zsh"
    (completions / "site-functions").rename(completions / "vendor-completions")
    _lay_out(bundle, tree / PREFIX)
    documents = tree / "usr/share/doc/servha"
    documents.mkdir(parents=True)
    (documents / "copyright").write_text(COPYRIGHT, encoding="utf-8")
    programs = tree / "usr/bin"
    programs.mkdir()
    (programs / "servha").symlink_to(f"/{PREFIX}/bin/servha")
    _control(tree, version=version, architecture=architecture)
    for path in tree.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    subprocess.run(
        ["dpkg-deb", "--build", "--root-owner-group", "-Zgzip", str(tree), str(target)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip


def _lay_out(bundle: Path, prefix: Path) -> None:
    shared = prefix / "lib/python3/site-packages"
    shared.mkdir(parents=True)
    for python in PYTHONS:
        major, minor = map(int, python.split("."))
        for wheel in lay_out.fitting(bundle / "wheels", (major, minor)):
            lay_out.unpack(wheel, shared)
        (prefix / "lib" / f"python{python}").symlink_to("python3")
    lay_out.write_environment(prefix, shared, home=Path("/") / PREFIX, python=Path("/usr/bin/python3"))
    for name in ("VERSION", "words.sh", "sbom.cdx.json"):
        shutil.copy(bundle / name, prefix)
    shutil.copytree(bundle / "web", prefix / "web")
    (prefix / "words.sh").chmod(0o644)
    (prefix / "log").symlink_to("/var/log/servha")


def _control(tree: Path, *, version: str, architecture: str) -> None:
    files = sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    size = sum(path.stat().st_size for path in files) // 1024
    first, newest = PYTHONS[0], PYTHONS[-1].split(".")
    folder = tree / "DEBIAN"
    folder.mkdir()
    (folder / "control").write_text(
        CONTROL.format(
            version=version, architecture=architecture, size=size,
            first=first, beyond=f"{newest[0]}.{int(newest[1]) + 1}",
        ),
        encoding="utf-8",
    )  # fmt: skip
    (folder / "md5sums").write_text(
        "".join(
            f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  {path.relative_to(tree)}\n"
            for path in files
        ),
        encoding="utf-8",
    )
    for name in SCRIPTS:
        shutil.copyfile(HERE / "debian" / name, folder / name)
        (folder / name).chmod(0o755)
