"""The roles and playbooks keep the rules of ansible-lint's strictest profile."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent.parent


def test_the_collection_passes_the_production_profile(tmp_path: Path) -> None:
    programs = Path(sys.executable).parent
    done = subprocess.run(
        [programs / "ansible-lint", "-q", "--nocolor", "ansible", "examples"],
        cwd=CHECKOUT,
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "ANSIBLE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=110.0,
    )
    assert done.returncode == 0, done.stdout + done.stderr
