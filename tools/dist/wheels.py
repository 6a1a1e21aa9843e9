"""The wheels of the runtime, by hash out of the lock, and the wheel of this tree.

One bundle serves several Pythons: a compiled wheel is taken once for each. manylinux_2_28 and older, so that RHEL 8,
Kylin V10 and everything newer can load them. What the lock has only as source is built here.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PYTHONS = ("3.11", "3.12", "3.13")
PLATFORMS = ("manylinux_2_28", "manylinux_2_17", "manylinux2014", "manylinux_2_12", "manylinux2010", "manylinux1")
ONLY_SOURCE = ("sdnotify",)
"""Published as source alone; pure Python, so that what is built here fits everywhere."""


def runtime(root: Path, arch: str) -> list[Path]:
    """Return the wheels of everything in requirements/runtime.lock; they are kept for the next time."""
    lock = (root / "requirements/runtime.lock").read_text(encoding="utf-8")
    recipe = hashlib.sha256(repr((lock, arch, PYTHONS, PLATFORMS, ONLY_SOURCE)).encode()).hexdigest()[:16]
    kept = root / ".cache" / "dist" / recipe
    if not kept.is_dir():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as unfinished:
            _fetch(lock, arch, Path(unfinished) / "wheels")
            (Path(unfinished) / "wheels").rename(kept)
    return sorted(kept.glob("*.whl"))


def ours(root: Path, version: str, target: Path) -> Path:
    """Build the wheel of this tree, with `version` as its number, into `target`.

    Made of what git knows, in a folder of its own: what lies about in the checkout is neither taken nor changed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "tree"
        copy_known(root, copy, "servha", "pyproject.toml", "README.md", "LICENSE")
        package = copy / "servha/__init__.py"
        text = package.read_text(encoding="utf-8")
        package.write_text(
            re.sub(r'(?m)^__version__ = ".*"$', f'__version__ = "{version}"', text), encoding="utf-8"
        )
        made = Path(scratch) / "made"
        _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(made), str(copy))
        (wheel,) = made.glob("*.whl")
        return Path(shutil.copy(wheel, target))


def copy_known(root: Path, target: Path, *names: str) -> None:
    """Copy the files below these names that git knows, or would take."""
    listed = _run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *names], cwd=root)
    for name in filter(None, listed.split("\0")):
        if (root / name).is_file() and not (root / name).is_symlink():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, target / name)
            (target / name).chmod(0o644)


def _fetch(lock: str, arch: str, target: Path) -> None:
    target.mkdir()
    pins = re.split(r"(?m)^(?=[\w.-]+==)", lock)
    source = [pin for pin in pins if pin.startswith(tuple(f"{name}==" for name in ONLY_SOURCE))]
    with tempfile.TemporaryDirectory() as scratch:
        binary, built = Path(scratch) / "binary.txt", Path(scratch) / "source.txt"
        binary.write_text("".join(pin for pin in pins if pin not in source), encoding="utf-8")
        built.write_text("".join(source), encoding="utf-8")
        platforms = [word for platform in PLATFORMS for word in ("--platform", f"{platform}_{arch}")]
        for python in PYTHONS:
            _pip("download", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--implementation", "cp",
                 "--python-version", python, *platforms, "-r", str(binary), "-d", str(target))  # fmt: skip
        _pip("wheel", "--no-deps", "--require-hashes", "--no-build-isolation", "-r", str(built), "-w", str(target))


def _pip(*words: str) -> None:
    _run([sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", *words])


def _run(argv: list[str], cwd: Path | None = None) -> str:
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    return done.stdout
