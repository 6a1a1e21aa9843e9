"""Fills the folder ServHA-Cluster_Setup: everything that install.sh needs, and nothing it would have to fetch.

    install.sh uninstall.sh lay_out.py   what the administrator runs, and what unpacks the wheels
    VERSION ARCH SHA256SUMS sbom.cdx.json LICENSE
    wheels/                              ServHA and its libraries
    web/                                 the console's pages
    root/                                files as they lie on the machine: units, users, manual pages, completions
    ansible/ examples/                   the collection and inventories, for a controller without internet:
                                         ansible-galaxy collection install ./ansible
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tools.dist import archive, sbom, wheels

NAME = "ServHA-Cluster_Setup"
PLACES = {
    "bash": "root/usr/share/bash-completion/completions",
    "zsh": "root/usr/share/zsh/site-functions",
    "man8": "root/usr/share/man/man8",
}
"""Folder of tools/make_pages.py -> folder of the bundle."""


def fill(root: Path, *, version: str, arch: str, epoch: int) -> Path:
    """Make the folder anew below build/; return it."""
    folder = root / "build" / "dist" / f"{version}-{arch}" / NAME
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "wheels").mkdir(parents=True)
    for wheel in wheels.runtime(root, arch):
        shutil.copy(wheel, folder / "wheels")
    wheels.ours(root, version, folder / "wheels")
    for name in ("install.sh", "uninstall.sh", "lay_out.py", "words.sh"):
        shutil.copy(root / "installer" / name, folder)
    shutil.copy(root / "LICENSE", folder)
    (folder / "web").mkdir()
    shutil.copy(root / "web/index.html", folder / "web")
    shutil.copytree(root / "web/static", folder / "web/static")
    (folder / "VERSION").write_text(f"{version}\n", encoding="utf-8")
    (folder / "ARCH").write_text(f"{arch}\n", encoding="utf-8")
    units = folder / "root/usr/lib/systemd/system"
    shutil.copytree(root / "units", units)
    users = folder / "root/usr/lib/sysusers.d"
    users.mkdir(parents=True)
    shutil.copy(root / "installer/sysusers.conf", users / "servha.conf")
    wheels.copy_known(root, folder, "ansible", "examples")
    _pages(root, folder)
    sbom.write((folder / "wheels").iterdir(), folder / "sbom.cdx.json", version=version, epoch=epoch)
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(0o755 if path.suffix == ".sh" else 0o644)
    archive.write_checksums(folder)
    return folder


def _pages(root: Path, folder: Path) -> None:
    made = folder.parent / "pages"
    shutil.rmtree(made, ignore_errors=True)
    subprocess.run([sys.executable, "tools/make_pages.py", str(made)], cwd=root, check=True, capture_output=True)
    for source, target in PLACES.items():
        shutil.copytree(made / source, folder / target)
