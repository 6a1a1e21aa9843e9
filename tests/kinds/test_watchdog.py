"""The watchdog: the same orders to a kernel's driver and to the lab's, and what each of them really answers.

The kernels that tests run on have no watchdog, no module to load one from and no CUSE to make one, so a driver is
preloaded (watchdog_driver.c); the C compiler and linux/watchdog.h, not this code, say what its orders are.
"""

from __future__ import annotations

import errno
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from servha.fences import watchdog
from servha.fences.watchdog import Watchdog, adopted, open_watchdog
from servha.lab import watchdog as lab
from tests.live.wait import eventually

HERE = Path(__file__).parent
needs_compiler = pytest.mark.skipif(
    shutil.which("cc") is None or not Path("/usr/include/linux/watchdog.h").exists(),
    reason="no C compiler, or not the kernel's headers",
)

# --- the lab's, for real -------------------------------------------------------------------------------------------


@dataclass
class Played:
    """The lab's watchdog on a socket, served by a thread as the machine beside a lab node serves it."""

    place: Path
    fired_s: float | None = None
    _ended: threading.Event = field(default_factory=threading.Event)

    def serve(self) -> None:
        with lab.Watchdog(self.place) as device:
            while not self._ended.is_set():
                select.select(device.descriptors(), [], [], min(0.02, device.left_s() or 0.02))
                device.serve()
                if device.fires() and self.fired_s is None:
                    self.fired_s = time.monotonic()

    def has_fired(self) -> bool:
        return self.fired_s is not None

    def end(self) -> None:
        self._ended.set()


@pytest.fixture
def played(tmp_path: Path) -> Iterator[Played]:
    made = Played(tmp_path / "watchdog")
    thread = threading.Thread(target=made.serve)
    thread.start()
    assert eventually(made.place.exists)
    yield made
    made.end()
    thread.join()


@pytest.fixture
def opened(played: Played) -> Iterator[Watchdog]:
    made = open_watchdog(str(played.place))
    yield made
    made.disarm()


def let_fall(device: Watchdog) -> None:
    """Close it without a word, as a process does that dies."""
    assert isinstance(device, watchdog.Messages)
    device._line.close()


def test_open_is_armed_and_named(played: Played, opened: Watchdog) -> None:
    assert opened.name == lab.IDENTITY
    left_s = opened.left_s()
    assert left_s is not None
    assert 50 < left_s <= lab.DEFAULT_S


def test_it_keeps_the_time_that_it_says(played: Played, opened: Watchdog) -> None:
    assert opened.set_timeout(0.4) == 0.4
    assert opened.set_timeout(0.01) == 0.1, "the lab's least"


def test_it_fires_when_it_is_not_fed_and_not_before(played: Played, opened: Watchdog) -> None:
    opened.set_timeout(0.3)
    for _ in range(10):
        time.sleep(0.06)
        opened.feed()
    fed_s = time.monotonic()
    assert not played.has_fired()
    assert eventually(played.has_fired)
    took_s = (played.fired_s or 0.0) - fed_s
    print(f"fired {took_s:.3f} s after the last feeding")
    assert 0.25 < took_s < 0.6


def test_disarmed_it_does_not_fire(played: Played) -> None:
    device = open_watchdog(str(played.place))
    device.set_timeout(0.2)
    device.disarm()
    assert not eventually(played.has_fired, within_s=0.5)
    again = open_watchdog(str(played.place))
    assert again.left_s() is not None
    again.disarm()


def test_closed_without_the_word_it_fires(played: Played) -> None:
    device = open_watchdog(str(played.place))
    device.set_timeout(0.2)
    os.close(os.dup(device.fileno()))  # one of two descriptors: still open
    assert isinstance(device.left_s(), float)
    let_fall(device)
    assert eventually(played.has_fired, within_s=1)


def test_a_feeding_after_the_word_takes_it_back(played: Played) -> None:
    device = open_watchdog(str(played.place))
    device.set_timeout(0.2)
    os.write(device.fileno(), b"V")
    device.feed()
    let_fall(device)
    assert eventually(played.has_fired, within_s=1)


def test_only_one_may_have_it(played: Played, opened: Watchdog) -> None:
    with pytest.raises(OSError, match=r"."):
        open_watchdog(str(played.place))
    opened.feed()
    assert opened.left_s() is not None


def test_it_can_be_had_again_as_soon_as_it_was_closed(played: Played) -> None:
    for _ in range(50):
        device = open_watchdog(str(played.place))
        device.feed()
        device.disarm()


def test_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_watchdog(str(tmp_path / "none"))


def test_a_successor_feeds_the_descriptor_that_was_left(played: Played) -> None:
    """Kept by the service manager: the first process has closed it, the second has never opened it."""
    device = open_watchdog(str(played.place))
    device.set_timeout(0.5)
    for _ in range(20):
        device.feed()  # answers that nobody has read yet are waiting in the socket
    kept = os.dup(device.fileno())
    let_fall(device)
    successor = adopted(kept)
    assert successor.name == lab.IDENTITY
    assert successor.set_timeout(0.4) == 0.4
    successor.feed()
    successor.disarm()
    assert not eventually(played.has_fired, within_s=0.6)


def test_feeding_never_waits_for_one_that_hangs(tmp_path: Path) -> None:
    """Nobody reads it: feedings pile up until there is no room, and then it is said, not waited for."""
    place = tmp_path / "watchdog"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
        door.bind(str(place))
        door.listen()
        threading.Thread(target=lambda: _answer_once(door), daemon=True).start()
        device = open_watchdog(str(place))
        longest_s, refused = 0.0, False
        for _ in range(2000):
            began_s = time.monotonic()
            try:
                device.feed()
            except BlockingIOError:
                refused = True
            longest_s = max(longest_s, time.monotonic() - began_s)
            if refused:
                break
        print(f"longest feeding {longest_s * 1e3:.1f} ms")
        assert refused
        assert longest_s < 0.1
        began_s = time.monotonic()
        with pytest.raises(OSError, match=r"."):
            device.set_timeout(1.0)
        assert time.monotonic() - began_s < 1
        let_fall(device)
        _lines.pop().close()


_lines: list[socket.socket] = []


def _answer_once(door: socket.socket) -> None:
    line, _ = door.accept()
    line.recv(64)
    _lines.append(line)
    line.send(lab.IDENTITY.encode())


# --- the kernel's --------------------------------------------------------------------------------------------------

NUMBERS = textwrap.dedent("""
    #include <linux/watchdog.h>
    #include <stddef.h>
    #include <stdio.h>
    int main(void) {
        printf("{\\"_SETTIMEOUT\\": %lu, \\"_GETTIMEOUT\\": %lu, \\"_GETSUPPORT\\": %lu, \\"_GETTIMELEFT\\": %lu,"
               " \\"_SETOPTIONS\\": %lu, \\"_DISABLE\\": %d, \\"size\\": %zu, \\"identity\\": %zu}",
               (unsigned long)WDIOC_SETTIMEOUT, (unsigned long)WDIOC_GETTIMEOUT, (unsigned long)WDIOC_GETSUPPORT,
               (unsigned long)WDIOC_GETTIMELEFT, (unsigned long)WDIOC_SETOPTIONS, WDIOS_DISABLECARD,
               sizeof(struct watchdog_info), offsetof(struct watchdog_info, identity));
    }
""")


@needs_compiler
def test_the_orders_have_the_numbers_that_the_kernel_gives_them(tmp_path: Path) -> None:
    (tmp_path / "numbers.c").write_text(NUMBERS)
    subprocess.run(["cc", "-o", tmp_path / "numbers", tmp_path / "numbers.c"], check=True)
    told = subprocess.run([tmp_path / "numbers"], capture_output=True, check=True).stdout
    numbers = json.loads(told)
    assert (numbers.pop("size"), numbers.pop("identity")) == (40, 8)
    assert {name: getattr(watchdog, name) for name in numbers} == numbers


@dataclass
class Driver:
    """A program with a driver in place of the kernel's."""

    folder: Path
    library: Path

    def run(self, script: str, **settings: int) -> tuple[object, list[str]]:
        """Run `script`, which has `device`, under a driver with these settings; return its `found`, and the log."""
        place, log = self.folder / "watchdog", self.folder / "log"
        place.touch()
        log.write_text("")
        whole = (
            "import json, os, sys\nfrom servha.fences.watchdog import adopted, open_watchdog\n"
            f"device = open_watchdog({str(place)!r})\nfound = None\n{script}\nprint(json.dumps(found))\n"
        )
        environment = {
            **os.environ,
            "LD_PRELOAD": str(self.library),
            "DRIVER_FILE": str(place),
            "DRIVER_LOG": str(log),
            "PYTHONPATH": str(HERE.parent.parent),
            **{f"DRIVER_{name.upper()}": str(value) for name, value in settings.items()},
        }
        done = subprocess.run(
            [sys.executable, "-c", whole], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout), log.read_text().splitlines()


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("driver") / "driver.so"
    source = HERE / "watchdog_driver.c"
    subprocess.run(["cc", "-Wall", "-Werror", "-shared", "-fPIC", "-o", made, source, "-ldl"], check=True)
    return made


@pytest.fixture
def driver(tmp_path: Path, library: Path) -> Driver:
    return Driver(tmp_path, library)


@needs_compiler
def test_a_driver_is_named_fed_and_stopped(driver: Driver) -> None:
    found, log = driver.run(
        "found = [device.name, device.set_timeout(1.0), device.left_s()]; device.feed(); device.disarm()"
    )
    assert found == ["Software Watchdog", 1.0, 0.0]
    assert log == ["timeout 1", "fed 1", "options 1", "magic 1", "closed, running 0"]


@needs_compiler
@pytest.mark.parametrize(("asked_s", "kept_s"), [(0.4, 1), (1.0, 1), (1.2, 2), (2.5, 3)])
def test_a_driver_keeps_whole_seconds_and_never_less_than_asked(
    driver: Driver, asked_s: float, kept_s: float
) -> None:
    assert driver.run(f"found = device.set_timeout({asked_s})")[0] == kept_s


@needs_compiler
def test_a_driver_with_a_least_time_keeps_that_and_not_its_default(driver: Driver) -> None:
    """The default of most drivers is 60 s: no lease is that long."""
    assert driver.run("found = device.set_timeout(1.0)", least=5)[0] == 5.0


@needs_compiler
@pytest.mark.parametrize(
    ("settings", "kept_s"), [({"fixed": 30}, 30.0), ({"step": 4}, 4.0), ({"least": 1000}, 60.0)]
)
def test_a_driver_that_does_as_it_likes_is_believed_in_what_it_says(
    driver: Driver, settings: dict[str, int], kept_s: float
) -> None:
    assert driver.run("found = device.set_timeout(1.0)", **settings)[0] == kept_s


@needs_compiler
def test_a_driver_that_tells_little_of_itself_is_used_all_the_same(driver: Driver) -> None:
    assert driver.run("found = [device.name, device.left_s()]", silent=1)[0] == ["watchdog", None]


@needs_compiler
def test_a_driver_that_only_stops_when_closed_is_stopped(driver: Driver) -> None:
    _, log = driver.run("device.disarm()", stops_by_closing=1)
    assert log[-2:] == ["magic 1", "closed, running 0"]


@needs_compiler
def test_a_driver_with_no_way_out_says_so_and_stays_open_to_be_fed(driver: Driver) -> None:
    found, log = driver.run(
        textwrap.dedent("""
            try:
                device.disarm()
            except OSError as problem:
                found = problem.errno
            device.feed()
            found = [found, device.set_timeout(2.0)]
        """),
        nowayout=1,
    )
    assert found == [errno.EBUSY, 2.0]
    assert log == ["options 1", "fed 1", "timeout 2"], "never the magic character, never closed"


@needs_compiler
def test_a_driver_left_open_is_taken_over(driver: Driver) -> None:
    found, log = driver.run(
        "device.set_timeout(3.0); other = adopted(os.dup(device.fileno())); other.feed(); other.disarm();"
        "found = other.name"
    )
    assert found == "Software Watchdog"
    assert log == ["timeout 3", "fed 1", "options 1", "magic 1", "closed, running 0"]
