"""Lays the wheels of the bundle out as a virtual environment: what pip would do, without pip and without network.

    python3.11 lay_out.py WHEELS FOLDER [--home /usr/share/servha] [--python /usr/bin/python3.11]

FOLDER is where the files are put, --home where they will be when they are used. Of a compiled library the wheel
that fits the Python is taken. Every file is held against the checksum its wheel names. Decides nothing about the
machine: install.sh does.
"""

from __future__ import annotations

import argparse
import base64
import compileall
import configparser
import csv
import hashlib
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

DISTRIBUTION = "servha"
PROGRAM = """#!{home}/bin/python3
import sys

from {module} import {function}

sys.exit({function}())
"""


class Misfit(Exception):
    """The wheels cannot be laid out; nothing of the machine was changed."""


def lay_out(wheels: Path, folder: Path, *, home: Path, python: Path, version: tuple[int, int]) -> None:
    """Fill `folder`, which must not exist."""
    site = folder / "lib" / f"python{version[0]}.{version[1]}" / "site-packages"
    site.mkdir(parents=True)
    for wheel in fitting(wheels, version):
        unpack(wheel, site)
    write_environment(folder, site, home=home, python=python)
    if not compileall.compile_dir(site, quiet=1, stripdir=str(folder), prependdir=str(home)):
        raise Misfit(f"not every file below {site} could be compiled")


def write_environment(folder: Path, site: Path, *, home: Path, python: Path) -> None:
    """Make the folder a virtual environment of `python`, with our programs."""
    (folder / "pyvenv.cfg").write_text(
        f"home = {python.parent}\ninclude-system-site-packages = false\n", encoding="utf-8"
    )
    (folder / "bin").mkdir()
    (folder / "bin" / "python3").symlink_to(python)
    for name, entry in programs(site).items():
        write_program(folder / "bin" / name, entry, home)
    # The manual's own path of this one (rm_clearup).
    write_program(folder / "op", f"{DISTRIBUTION}.cli.op:run", home)


def fitting(wheels: Path, version: tuple[int, int]) -> list[Path]:
    """One wheel for each library: compiled for this very Python, for its stable interface, or for any."""
    found: dict[str, Path] = {}
    offered: set[str] = set()
    for wheel in sorted(wheels.glob("*.whl")):
        name, _, tag, abi, _ = wheel.stem.split("-")
        offered.add(name)
        if fits(tag, abi, version):
            found[name] = wheel
    if absent := offered - set(found):
        raise Misfit(f"no wheel for Python {version[0]}.{version[1]}: {', '.join(sorted(absent))}")
    return list(found.values())


def fits(tag: str, abi: str, version: tuple[int, int]) -> bool:
    """Whether a wheel with these two tags can be used.

    >>> fits("py2.py3", "none", (3, 11)), fits("cp36", "abi3", (3, 11)), fits("cp312", "cp312", (3, 11))
    (True, True, False)
    """
    if abi == "none":
        return "py3" in tag.split(".")
    if abi == "abi3":
        return any(part.startswith("cp3") and int(part[3:]) <= version[1] for part in tag.split("."))
    return f"cp{version[0]}{version[1]}" in tag.split(".")


def unpack(wheel: Path, site: Path) -> None:
    """Unpack one wheel; a file that its RECORD does not name with this checksum is refused."""
    with zipfile.ZipFile(wheel) as opened:
        sums = dict(recorded(opened))
        for name in opened.namelist():
            if name.endswith("/"):
                continue
            content = opened.read(name)
            if not name.endswith(".dist-info/RECORD") and sums.get(name) != digest(content):
                raise Misfit(f"{wheel.name}: {name} is not what the wheel's RECORD says")
            top, _, rest = name.partition("/")
            if top.endswith(".data"):
                continue  # programs and headers of the libraries: nobody calls them here
            target = site / name
            if ".." in target.parts or name.startswith("/"):
                raise Misfit(f"{wheel.name}: {name} would lie outside")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            target.chmod(0o755 if is_script(rest, content) else 0o644)


def recorded(wheel: zipfile.ZipFile) -> Iterator[tuple[str, str]]:
    record = next(name for name in wheel.namelist() if name.endswith(".dist-info/RECORD"))
    for name, checksum, _ in csv.reader(wheel.read(record).decode().splitlines()):
        yield name, checksum


def digest(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def is_script(name: str, content: bytes) -> bool:
    """Whether the file is run by itself, such as the scripts of the ready-made applications."""
    return content.startswith(b"#!") and not name.endswith(".py")


def programs(site: Path) -> dict[str, str]:
    """Name -> module:function of our own programs."""
    (entries,) = site.glob(f"{DISTRIBUTION}-*.dist-info/entry_points.txt")
    read = configparser.ConfigParser()
    read.read_string(entries.read_text(encoding="utf-8"))
    return dict(read["console_scripts"])


def write_program(path: Path, entry: str, home: Path) -> None:
    module, _, function = entry.partition(":")
    path.write_text(PROGRAM.format(home=home, module=module, function=function), encoding="utf-8")
    path.chmod(0o755)


def main() -> int:
    parser = argparse.ArgumentParser(description="lay the wheels of the bundle out as a virtual environment")
    parser.add_argument("wheels", type=Path, metavar="WHEELS")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--home", type=Path, default=Path("/usr/share/servha"))
    parser.add_argument("--python", type=Path, default=Path(sys.executable))
    args = parser.parse_args()
    try:
        lay_out(args.wheels, args.folder, home=args.home, python=args.python, version=sys.version_info[:2])
    except (Misfit, OSError, zipfile.BadZipFile) as error:
        print(f"lay_out: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
