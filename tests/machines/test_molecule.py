"""Each scenario of molecule/ on a pair of machines of its own. `make molecule` plays all, `make test` the fast ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.machines.base import base
from tests.machines.bundles import NEXT, NOW, installer

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]

CHECKOUT = Path(__file__).parent.parent.parent
SCENARIOS = sorted(file.parent.name for file in (CHECKOUT / "molecule").glob("*/molecule.yml"))
FAST = ("failover", "hardened", "offline-installer")
"""`hardened` is `default` behind a firewall."""
CHOSEN = SCENARIOS if os.environ.get("SERVHA_MOLECULE") == "all" else FAST


@pytest.fixture(scope="module", autouse=True)
def _made_before() -> None:
    """What is built once is not part of a scenario's time."""
    base()
    for version in (NOW, NEXT):
        installer(version)


@pytest.mark.parametrize("scenario", CHOSEN)
def test_scenario(scenario: str) -> None:
    played = subprocess.run(
        [sys.executable, "-m", "tests.machines.pair", "molecule", "test", "--scenario-name", scenario],
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert played.returncode == 0, played.stdout[-20_000:]


def test_all_scenarios_are_there() -> None:
    assert set(FAST) < set(SCENARIOS)
    assert {"checkmode", "upgrade", "uninstall", "replace"} < set(SCENARIOS)
