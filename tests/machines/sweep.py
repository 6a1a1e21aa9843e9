"""`python -m tests.machines.sweep`: remove what machines of killed test runs left behind."""

from __future__ import annotations

from tests.machines.rack import sweep

if __name__ == "__main__":
    for name in sweep():
        print(f"removed {name}")
