"""How often somebody may guess. Pure: the time is handed in.

Five failures a minute from one address and twenty from all, then a delay that doubles up to 15 minutes. The
machine itself is never delayed: whoever sits there must always get in.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final

FAILURES_PER_ADDRESS: Final = 5
FAILURES_TOTAL: Final = 20
WINDOW_S: Final = 60.0
DELAY_FIRST_S: Final = 30.0
DELAY_MAX_S: Final = 900.0
_ADDRESSES_MAX: Final = 1024


@dataclass(slots=True)
class _Record:
    failures_s: deque[float] = field(default_factory=lambda: deque(maxlen=FAILURES_TOTAL))
    delays: int = 0
    closed_until_s: float = 0.0

    def wait_s(self, now_s: float) -> float:
        return max(0.0, self.closed_until_s - now_s)

    def failed(self, now_s: float, allowed: int) -> None:
        self.failures_s.append(now_s)
        while self.failures_s and now_s - self.failures_s[0] > WINDOW_S:
            self.failures_s.popleft()
        if now_s - self.closed_until_s > DELAY_MAX_S:
            self.delays = 0
        if len(self.failures_s) >= allowed:
            self.closed_until_s = now_s + min(DELAY_MAX_S, DELAY_FIRST_S * 2 ** min(self.delays, 10))
            self.delays += 1


class Attempts:
    """Counts failed guesses, by address and in total."""

    def __init__(self) -> None:
        self._by_address: OrderedDict[str, _Record] = OrderedDict()
        self._all = _Record()

    def wait_s(self, address: str, *, same_machine: bool, now_s: float) -> float:
        """Return how many seconds this address has to wait before its next attempt; 0 when it may try now."""
        if same_machine:
            return 0.0
        record = self._by_address.get(address)
        own_s = record.wait_s(now_s) if record else 0.0
        return max(own_s, self._all.wait_s(now_s))

    def failed(self, address: str, *, same_machine: bool, now_s: float) -> None:
        """Note a wrong guess. The machine itself is not counted, so that it cannot shut others out either."""
        if same_machine:
            return
        record = self._by_address.setdefault(address, _Record())
        self._by_address.move_to_end(address)
        while len(self._by_address) > _ADDRESSES_MAX:
            self._by_address.popitem(last=False)
        record.failed(now_s, FAILURES_PER_ADDRESS)
        self._all.failed(now_s, FAILURES_TOTAL)

    def succeeded(self, address: str) -> None:
        """Note a right guess: that address starts afresh."""
        self._by_address.pop(address, None)
