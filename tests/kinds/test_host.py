"""The machine itself: programs get a clean start and a certain end; groups, news and probes as promised."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from servha.arbiters.reference_address import Answer, probe, probe_peer, probe_tree_addresses, problems
from servha.host import (
    AddressChange,
    Change,
    ChangesMissed,
    HostError,
    LinkGone,
    LocalHost,
    ScriptedHost,
    cgroups,
    orphans,
)
from servha.host.netlink import QUEUE_MAX, Subscription
from servha.host.port import OUTPUT_BYTES_MAX
from tests.kinds.conftest import Wire, until

pytestmark = pytest.mark.root
LOOK = (
    "import os,sys,json; m=os.umask(0);"
    "print(json.dumps([dict(os.environ), os.getcwd(), m, sys.stdin.read(), open('/proc/self/cgroup').read()]))"
)


async def test_a_program_starts_clean(host: LocalHost) -> None:
    os.environ["LEAK"] = "yes"
    try:
        done = await host.run(
            ["/usr/bin/env", "python3", "-c", LOOK], timeout_s=10, env={"SERVHA_TREE": "web"}
        )
    finally:
        del os.environ["LEAK"]
    environment, cwd, umask, stdin, groups = json.loads(done.output)
    assert environment["SERVHA_TREE"] == "web"
    assert set(environment) <= {"SERVHA_TREE", "PATH", "LANG", "HOME", "PWD", "LC_CTYPE"}
    assert (cwd, umask, stdin) == ("/", 0o027, "")
    assert "/runs/" in groups, "it is in its group before its first line"
    assert done.code == 0


async def test_arguments_are_not_read_by_a_shell(host: LocalHost) -> None:
    nasty = "$(touch /tmp/servha-never); `id` ; \"'"
    done = await host.run(["/bin/echo", nasty], timeout_s=5)
    assert done.output == nasty + "\n"


async def test_time_is_up_for_everything_a_program_started(host: LocalHost, base: Path) -> None:
    group = host.cgroup_of("web", "app")
    done = await host.run(
        ["/bin/sh", "-c", "trap '' TERM; setsid sleep 1000 & sleep 1000"], timeout_s=0.2, cgroup=group
    )
    assert done.timed_out
    assert done.code is None
    assert not host.populated(group)
    assert not host.populated(base)


async def test_without_a_group_of_its_resource_nothing_outlives_the_program(
    host: LocalHost, base: Path
) -> None:
    done = await host.run(["/bin/sh", "-c", "setsid sleep 1000 & echo done"], timeout_s=5)
    assert (done.code, done.output) == (0, "done\n")
    assert not host.populated(base)
    assert [path for path in (base / "runs").iterdir() if path.is_dir()] == []


async def test_endless_output_is_cut_and_does_not_stop_the_program(host: LocalHost) -> None:
    done = await host.run(["/bin/sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x; exit 4"], timeout_s=10)
    assert done.code == 4
    assert len(done.output) == OUTPUT_BYTES_MAX


async def test_a_run_that_is_given_up_leaves_nothing(host: LocalHost, base: Path) -> None:
    running = asyncio.create_task(host.run(["/bin/sleep", "1000"], timeout_s=100))
    await until(lambda: host.populated(base))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not host.populated(base)


async def test_a_program_that_is_not_there_says_so(host: LocalHost) -> None:
    done = await host.run(["/no/such/program"], timeout_s=5)
    assert done.code == 127
    assert "/no/such/program" in done.output


async def test_a_new_daemon_sweeps_what_its_forerunner_left_half_done(base: Path) -> None:
    left = cgroups.Cgroups(base).for_one_run()
    child = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", f"echo 0 > {left}/cgroup.procs; exec sleep 1000"
    )
    await until(lambda: cgroups.populated(left))
    async with LocalHost(node="node1", base=base) as host:
        # 255 is what asyncio says when the host has buried the orphan before it could ask.
        assert await child.wait() in (-9, 255)
        assert not host.populated(left)


async def test_an_emptied_group_is_told_once_it_is_empty_and_at_once_if_it_is(host: LocalHost) -> None:
    group = host.cgroup_of("web", "app")
    async with asyncio.timeout(5):
        await host.emptied(group)
        await host.emptied(group / "missing")
        await host.run(["/bin/sh", "-c", "sleep 1000 & sleep 1000 &"], timeout_s=5, cgroup=group)
        assert len(host.cgroup_pids(group)) == 2
        waiting = asyncio.create_task(host.emptied(group))
        first, second = host.cgroup_pids(group)
        os.kill(first, 9)
        await host.exited(first)
        assert not waiting.done()
        os.kill(second, 9)
        await waiting
    assert await host.kill_cgroup(group, timeout_s=1)


async def test_news_from_the_network_keep_coming(host: LocalHost, wire: Wire) -> None:
    """The library's news end after each batch; a listener that believed it would be deaf for half a second."""
    with host.network_changes() as changes:
        for present in (True, False, True, False):
            await wire.later("ip", "addr", "add" if present else "del", "192.0.2.50/24", "dev", "v0")
            async with asyncio.timeout(0.4):
                while not isinstance(change := await changes.next(), AddressChange):
                    pass  # the cable's last words
                assert change == AddressChange("v0", "192.0.2.50/24", present=present)


async def test_too_much_news_becomes_one_look_again() -> None:
    mine = Subscription()
    for at in range(QUEUE_MAX + 1):
        mine.put(AddressChange("v0", f"192.0.2.{at % 250}/24", present=True))
    assert await mine.next() == ChangesMissed()


async def test_addresses_may_be_added_and_removed_twice(host: LocalHost) -> None:
    for _ in range(2):
        await host.add_address("v0", "192.0.2.50/24")
        assert "192.0.2.50/24" in await host.addresses("v0")
    for _ in range(2):
        await host.delete_address("v0", "192.0.2.50/24")
        assert "192.0.2.50/24" not in await host.addresses("v0")
    with pytest.raises(HostError, match="no interface v7"):
        await host.add_address("v7", "192.0.2.50/24")
    await host.delete_address("v7", "192.0.2.50/24")


async def test_asking_through_a_dead_interface_is_not_silence(host: LocalHost, wire: Wire) -> None:
    assert await host.who_has("v0", "192.0.2.99", wait_s=0.05) is None
    wire.run("ip", "link", "set", "v0", "down")
    with pytest.raises(HostError, match="v0"):
        await host.who_has("v0", "192.0.2.2", wait_s=0.05)
    with pytest.raises(HostError, match="v7"):
        await host.who_has("v7", "192.0.2.2", wait_s=0.05)
    assert "v0" in await probe_tree_addresses(host, [("v0", "192.0.2.100/24")], 0.05)


async def test_a_ping_leaves_through_its_interface(host: LocalHost, wire: Wire) -> None:
    assert (await host.ping("192.0.2.2", nic="v0", timeout_s=2) or 9) < 2
    assert await host.ping("192.0.2.2", nic="lo", timeout_s=0.05) is None
    assert await host.ping("192.0.2.99", timeout_s=0.05) is None
    assert (await host.ping("::1", timeout_s=2) or 9) < 2
    assert await probe_peer(host, [("v0", "192.0.2.99"), ("v0", "192.0.2.2")], 2.0)


async def test_reference_addresses_answer_or_not_and_this_machine_is_none() -> None:
    host = ScriptedHost()
    host.pongs = {"192.0.2.254": 0.001, "127.0.0.1": 0.0001}
    answers = await probe(host, ["192.0.2.254", "192.0.2.253", "127.0.0.1"], None, 0.1)
    assert answers == [
        Answer("192.0.2.254", answered=True, rtt_s=0.001),
        Answer("192.0.2.253", answered=False),
        Answer("127.0.0.1", answered=False),
    ]


async def test_the_peer_answers_if_any_of_its_addresses_does() -> None:
    host = ScriptedHost()
    links = [("eth0", "192.0.2.12"), ("eth1", "198.51.100.12")]
    assert await probe_peer(host, links, 0.1) == ""
    assert await probe_peer(host, [], 0.1) == ""
    host.pongs["198.51.100.12"] = 0.0005
    assert await probe_peer(host, links, 0.1) == "198.51.100.12 on eth1 after 0.5 ms"


async def test_who_holds_a_trees_addresses_is_named() -> None:
    host = ScriptedHost()
    ends = [("pub0", "192.0.2.100/24"), ("pub0", "192.0.2.101")]
    assert await probe_tree_addresses(host, ends, 0.1) == ""
    host.held_by["192.0.2.100"] = "02:00:00:00:00:99"
    assert await probe_tree_addresses(host, ends, 0.1) == "192.0.2.100 answered by 02:00:00:00:00:99 on pub0"


def test_a_reference_is_an_address_of_somebody() -> None:
    assert problems(["192.0.2.254", "2001:db8::1", "127.0.0.1"]) == []
    assert len(problems(["gateway", "::", "224.0.0.1"])) == 3
    assert len(problems(["192.0.2.1"] * 65)) == 1


def test_time_and_life_of_the_kernel() -> None:
    host = LocalHost(node="node1")
    assert host.boottime_s() > 0
    assert len(host.boot_id()) == 36


async def test_a_thousand_looks_at_the_network_leave_nothing_behind(host: LocalHost) -> None:
    """Single get-requests of the library leak 1.6 KiB each: ours are read without it."""

    def held() -> int:
        gc.collect()
        return sys.getallocatedblocks()

    async def look(count: int) -> None:
        for _ in range(count):
            await host.link("v0")
            await host.addresses("v0")

    await look(1000)  # the library warms its caches up
    before = held()
    await look(1000)
    assert held() - before < 1500, "3000 requests that leak would each hold a block at least"


async def test_nothing_of_a_group_seems_to_live_once_it_is_said_to_be_empty(host: LocalHost) -> None:
    """The guard kills a tree's processes behind our back; a test script asks for them by number, with `kill -0`."""
    group = host.cgroup_of("web", "app")
    start = ["/bin/sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & echo $!"]
    for way in (host.emptied, partial(host.kill_cgroup, timeout_s=5)):
        pid = int((await host.run(start, timeout_s=5, cgroup=group)).output)
        (group / "cgroup.kill").write_text("1")
        await until(lambda: not host.populated(group))
        await way(group)
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_orphans_are_waited_for_and_other_peoples_children_are_not(host: LocalHost, base: Path) -> None:
    """What we take in must not stay as zombies; what somebody else started must keep its exit code for them."""
    theirs = await asyncio.create_subprocess_exec("/bin/sh", "-c", "exit 7")
    group = host.cgroup_of("web", "app")
    await host.run(["/bin/sh", "-c", "sleep 0 & sleep 0 & sleep 0 &"], timeout_s=5, cgroup=group)
    await host.emptied(group)
    assert await theirs.wait() == 7
    burial = orphans.Burial(base)
    await until(lambda: burial.bury(but=()) == 0 and no_zombies())


async def test_a_dead_child_that_nobody_waits_for_hides_no_other_and_is_buried_in_the_end(
    host: LocalHost, base: Path
) -> None:
    """What `su -` moved out of the group becomes ours when its parent ends, and the kernel names it first."""
    strangers = [nobodys_child() for _ in range(30)]
    stranger = strangers[-1]
    await until(lambda: "Z" in Path(f"/proc/{stranger.pid}/stat").read_text(encoding="utf-8"))
    group = host.cgroup_of("web", "app")
    start = ["/bin/sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & echo $!"]
    pid = int((await host.run(start, timeout_s=5, cgroup=group)).output)
    assert await host.kill_cgroup(group, timeout_s=5)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    os.kill(stranger.pid, 0)  # somebody may still wait for it
    burial = orphans.Burial(base)
    await until(lambda: burial.bury(but=()) == 0 and no_zombies())
    for one in strangers:
        one.wait()


def nobodys_child() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["/bin/true"])


def no_zombies() -> bool:
    listing = subprocess.run(
        ["ps", "-o", "stat=", "--ppid", str(os.getpid())], capture_output=True, text=True, check=False
    )
    return "Z" not in listing.stdout


async def test_leaving_a_bridge_is_not_leaving_the_machine(host: LocalHost, wire: Wire) -> None:
    """The kernel tells of both with the same message, in another family."""
    wire.run("ip", "link", "add", "br0", "type", "bridge")
    seen: list[Change] = []
    with host.network_changes() as changes:
        await wire.later("ip", "link", "set", "v0", "master", "br0")
        await wire.later("ip", "link", "set", "v0", "nomaster")
        await wire.later("ip", "link", "del", "br0")
        async with asyncio.timeout(5):
            while LinkGone("br0") not in seen:
                seen.append(await changes.next())
    assert LinkGone("v0") not in seen


async def test_a_hundred_programs_started_at_once_let_the_loop_turn_in_between(
    host: LocalHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_turns())
    starts: list[int] = []
    spawn = host._programs._spawn

    def noted(*args: Any) -> Any:
        starts.append(turns)
        return spawn(*args)

    monkeypatch.setattr(host._programs, "_spawn", noted)
    done = await asyncio.gather(*(host.run(["/bin/true"], timeout_s=30) for _ in range(100)))
    counting.cancel()
    assert [one.code for one in done] == [0] * 100
    assert len(set(starts)) == 100, "each in a turn of its own"
