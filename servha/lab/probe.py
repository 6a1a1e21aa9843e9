"""The client outside: measures from the client's namespace how long nobody answered.

with probe.running(lab, url="http://192.0.2.100/who") as p:
p.wait_answer(who="node1")
lab.node1.poweroff()
p.wait_answer(who="node2")
print(p.longest().length_s)
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from servha.core.words import Text, say
from servha.lab import attempts
from servha.lab.attempts import PATIENCE_S, Attempt, Blackout
from servha.lab.lab import Lab
from servha.lab.layout import VIRTUAL_ADDRESS
from servha.lab.trouble import Exit, LabError

DEFAULT_URL = f"http://{VIRTUAL_ADDRESS}/who"
HTTP_EVERY_S = 0.010
ICMP_EVERY_S = 0.005
TIMEOUT_S = 0.5


class Probe:
    """A running client; what it saw so far can be asked at any time, and after it was stopped."""

    def __init__(self, lab: Lab, worker: str, target: str, *arguments: str) -> None:
        self.target = target
        self._seen: list[Attempt] = []
        self._ended = False
        self._news = threading.Condition()
        self._client = subprocess.Popen(
            lab.client_command(sys.executable, "-m", f"servha.lab.{worker}", *arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        if self._client.stdout is None or self._client.stdout.readline() != "ready\n":
            self._client.wait()
            raise LabError(
                say("the probing client does not start: exit status {status}", status=self._client.returncode)
            )
        self._reader = threading.Thread(target=self._read, name=f"probe {target}", daemon=True)
        self._reader.start()

    def stop(self) -> None:
        """Stop trying; returns when the last open attempt has ended."""
        if self._client.poll() is None:
            self._client.terminate()
        self._reader.join()
        self._client.wait()

    @property
    def alive(self) -> bool:
        """Whether the client still runs."""
        return not self._ended

    def last(self) -> Attempt | None:
        """The attempt that ended last."""
        return self._seen[-1] if self._seen else None

    def attempts(self) -> list[Attempt]:
        """Every attempt that has ended."""
        with self._news:
            return list(self._seen)

    def blackouts(self, *, patience_s: float = PATIENCE_S) -> list[Blackout]:
        """See `attempts.blackouts`."""
        return attempts.blackouts(self.attempts(), patience_s=patience_s)

    def longest(self) -> Blackout | None:
        """The longest blackout, None if there was none."""
        return max(self.blackouts(), key=lambda blackout: blackout.length_s, default=None)

    def answered_by(self) -> Counter[str]:
        """How many good answers came from whom."""
        return Counter(attempt.who for attempt in self.attempts() if attempt.good)

    def results(self) -> Counter[str]:
        """How many attempts ended how."""
        return Counter(attempt.result for attempt in self.attempts())

    def wait_answer(
        self, *, who: str | None = None, after_s: float | None = None, within_s: float = 30.0
    ) -> Attempt:
        """Return the first good answer to an attempt that began after `after_s` (now, unless given).

        Raises:
            LabError: none came in time.
        """
        since_s = time.monotonic() if after_s is None else after_s
        deadline = time.monotonic() + within_s
        at = 0
        with self._news:
            while True:
                while at < len(self._seen):
                    seen = self._seen[at]
                    at += 1
                    if seen.good and seen.start_s >= since_s and who in {None, seen.who}:
                        return seen
                if self._ended or not self._news.wait(deadline - time.monotonic()):
                    raise LabError(self._silence(who, within_s), Exit.TIMED_OUT)

    def _silence(self, who: str | None, within_s: float) -> Text:
        results = Counter(f"{seen.result} {seen.who}" for seen in self._seen[-100:])
        return say(
            "{target} was not answered by {who} within {limit_s} s; the last attempts: {results}",
            target=self.target,
            who=who or "*",
            limit_s=within_s,
            results=", ".join(f"{count} x {result}" for result, count in results.items()) or "-",
        )

    def _read(self) -> None:
        if self._client.stdout is None:
            return
        with self._client.stdout as lines:
            for line in lines:
                start, end, result, who = line.split()
                with self._news:
                    self._seen.append(Attempt(float(start), float(end), result, "" if who == "-" else who))
                    self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()


@contextmanager
def running(
    lab: Lab,
    *,
    url: str = DEFAULT_URL,
    icmp: str | None = None,
    every_s: float | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Iterator[Probe]:
    """Run a client that asks for `url`, or pings the address `icmp`, while the block runs."""
    kind, target, usual_s = ("icmp", icmp, ICMP_EVERY_S) if icmp else ("http", url, HTTP_EVERY_S)
    times = (str((every_s or usual_s) * 1000), str(timeout_s * 1000))
    probe = Probe(lab, "probe_worker", target, kind, target, *times)
    try:
        yield probe
    finally:
        probe.stop()


@contextmanager
def load(
    lab: Lab, *, url: str = DEFAULT_URL, connections: int = 8, keep_alive: bool = False
) -> Iterator[Probe]:
    """Keep connections busy while the block runs; `results()["lost"]` counts what was accepted and not answered."""
    parts = urlsplit(url)
    where = (parts.hostname or "", str(parts.port or 80), parts.path or "/")
    probe = Probe(lab, "load_worker", url, *where, str(connections), "keep" if keep_alive else "close")
    try:
        yield probe
    finally:
        probe.stop()
