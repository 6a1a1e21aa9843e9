"""Runs a module of the collection as Ansible does, on this machine, inside a mount namespace of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).parent.parent.parent
PROGRAMS = CHECKOUT / ".venv/bin"


def run_module(
    folder: Path, module: str, *options: str, mounts: Sequence[str] = (), **arguments: Any
) -> dict[str, Any]:
    """What the module answers. `mounts`: shell commands before, whose mounts nobody else sees."""
    before = "".join(f"{command} && " for command in mounts)
    inventory = f"localhost ansible_connection=local ansible_python_interpreter={PROGRAMS}/python"
    (folder / "inventory").write_text(inventory, encoding="utf-8")
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", before + 'exec "$@"', "sh"]
        + [str(PROGRAMS / "ansible"), "localhost", "-i", str(folder / "inventory"), "-o"]
        + ["-m", f"servha.cluster.{module}", "-a", json.dumps(arguments), *options],
        cwd=CHECKOUT,
        env={**os.environ, "ANSIBLE_HOME": str(folder / "home"), "ANSIBLE_NOCOLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout.partition("=> ")[2].strip().splitlines()
    assert said, done.stdout + done.stderr
    return dict(json.loads(said[0]))
