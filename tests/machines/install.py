"""Puts this checkout into a machine, without network and without its package manager.

The machine gets what a real installation has: a virtual environment under /usr/share/servha, made of the
requirements of the running .venv, and the unit files. Its Python is Debian's; compiled wheels fit because both
are 3.11.
"""

from __future__ import annotations

import re
import shutil
import tomllib
from importlib import metadata
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent.parent
PREFIX = Path("usr/share/servha")
PYTHON = (3, 11)


def install(root: Path) -> None:
    """Fill the folder that becomes the upper layer of a machine's file system. The machine is off."""
    site = root / PREFIX / "lib" / f"python{PYTHON[0]}.{PYTHON[1]}" / "site-packages"
    site.mkdir(parents=True)
    for source in requirements():
        copy(source, site / source.name)
    copy(CHECKOUT / "servha", site / "servha")
    make_environment(root / PREFIX)
    units = root / "etc/systemd/system"
    units.mkdir(parents=True)
    for unit in (CHECKOUT / "units").iterdir():
        copy(unit, units / unit.name)


def requirements() -> set[Path]:
    """Files and folders of everything in requirements/runtime.lock, as installed beside the running Python."""
    lock = (CHECKOUT / "requirements/runtime.lock").read_text(encoding="utf-8")
    found = set()
    for name in re.findall(r"^([\w.-]+)==", lock, flags=re.MULTILINE):
        distribution = metadata.distribution(name)
        tops = {
            file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")
        }
        found |= {Path(str(distribution.locate_file(top))) for top in tops}
    return found


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copy2(source, target)


def make_environment(prefix: Path) -> None:
    """Turn the folder into a virtual environment of /usr/bin/python3, with our programs in bin/."""
    scripts = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    (prefix / "pyvenv.cfg").write_text(
        "home = /usr/bin\ninclude-system-site-packages = false\n", encoding="utf-8"
    )
    folder = prefix / "bin"
    folder.mkdir()
    (folder / "python3").symlink_to("/usr/bin/python3")
    for program, entry in scripts.items():
        module, function = entry.split(":")
        script = folder / program
        script.write_text(
            f"#!/{PREFIX}/bin/python3\nimport sys\n\nfrom {module} import {function}\n\nsys.exit({function}())\n",
            encoding="utf-8",
        )
        script.chmod(0o755)
