"""Where a tree should run: one table from orders, preferences and fitness to one word.

What it refuses to decide: whether that may happen (arbitration.py) and what this node then becomes (rules.py).
Both nodes read the same table, each from its own side, so at rest they agree without talking about it; while they
do not, consent keeps one of them waiting.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from servha.core.model import Failback, Goal, StartFailure, StartMode, SwitchPolicy
from servha.core.table import Row


class Wish(StrEnum):
    """Where the tree should run, seen from this node."""

    HERE = "here"
    THERE = "there"
    NOWHERE = "nowhere"


class Pin(StrEnum):
    """Where a manual start or move placed the tree."""

    FREE = "free"
    HERE = "here"
    THERE = "there"


class Holder(StrEnum):
    """Who holds it now, as far as known."""

    US = "us"
    PEER = "peer"
    NOBODY = "nobody"


class Side(StrEnum):
    """What one node is good for, as far as this tree is concerned."""

    FIT = "fit"
    UNFIT = "unfit"  # a precondition is not met there (决断错误)
    WORN = "worn"  # holds it, and something in it stopped too often
    PARKED = "parked"  # failed there; the other may have it
    PARKED_ALONE = "parked-alone"  # failed there with nobody else to go to
    GONE = "gone"  # not in contact
    NO_HOST = "no-host"  # not among the tree's hosts


@dataclass(frozen=True, slots=True)
class Question:
    """Everything placement depends on, in words."""

    empty: bool
    """Whether the tree has no resources yet."""
    goal: Goal
    pin: Pin
    holder: Holder
    here: Side
    there: Side
    first: bool
    """Whether this node stands before the other in the tree's list of hosts."""
    start_mode: StartMode
    switch_policy: SwitchPolicy
    failback: Failback
    start_failure: StartFailure
    settled: bool
    """Whether the other node has been fit for the hold-down time, the last move is as long ago, and the time of day
    is one at which the tree may go back."""
    hands_off: bool
    """Whether it is in maintenance, and no order given since then says where it should run."""


UP = frozenset({Side.FIT, Side.UNFIT, Side.PARKED, Side.PARKED_ALONE, Side.WORN})
FAILED = frozenset({Side.PARKED, Side.PARKED_ALONE})
OUT = frozenset({Side.PARKED, Side.PARKED_ALONE, Side.UNFIT})

PLACEMENT: tuple[Row[Wish], ...] = (
    Row("empty", {"empty": True}, Wish.NOWHERE, "it has no resources yet"),
    Row("stopped", {"goal": Goal.STOP}, Wish.NOWHERE, "an order says that it is to be stopped"),
    Row("no-host-here", {"here": Side.NO_HOST}, Wish.THERE, "this node is not among its hosts"),
    # It runs here.
    Row(
        "ordered-away",
        {"holder": Holder.US, "pin": Pin.THERE, "there": {Side.FIT, Side.WORN}},
        Wish.THERE,
        "it was ordered to {peer}",
    ),
    Row(
        "maintained-here",
        {"holder": Holder.US, "hands_off": True},
        Wish.HERE,
        "it is in maintenance ({maintenance}) and stays where it is",
        "the end of its maintenance would let it move by itself",
    ),
    Row(
        "worn-out",
        {"holder": Holder.US, "here": Side.WORN, "there": Side.FIT},
        Wish.THERE,
        "{failure}",
        "{limit} abnormal stops or fewer within {window_s} s would have kept it here",
    ),
    Row(
        "unfit-owner",
        {"holder": Holder.US, "here": {Side.UNFIT, Side.PARKED, Side.PARKED_ALONE}, "there": Side.FIT},
        Wish.THERE,
        "{failure}",
    ),
    Row(
        "failback",
        {
            "holder": Holder.US,
            "pin": Pin.FREE,
            "first": False,
            "failback": Failback.PREFERRED,
            "there": Side.FIT,
            "settled": True,
        },
        Wish.THERE,
        "{peer} is the preferred host and has been fit for {hold_down_s} s",
        "failback policy stay, or an order that pins it here, would have kept it",
    ),
    Row(
        "failback-in-window",
        {
            "holder": Holder.US,
            "pin": Pin.FREE,
            "first": False,
            "failback": Failback.WINDOW,
            "there": Side.FIT,
            "settled": True,
        },
        Wish.THERE,
        "{peer} is the preferred host, has been fit for {hold_down_s} s, and it is between {window}",
        "another time of day, or an order that pins it here, would have kept it",
    ),
    Row(
        "waits-to-go-home",
        {
            "holder": Holder.US,
            "pin": Pin.FREE,
            "first": False,
            "failback": Failback.PREFERRED,
            "there": Side.FIT,
        },
        Wish.HERE,
        "it runs here until {peer}, the preferred host, has been fit for {hold_down_s} s",
        "failback policy stay, or an order that pins it here, would keep it",
    ),
    Row(
        "waits-for-window",
        {
            "holder": Holder.US,
            "pin": Pin.FREE,
            "first": False,
            "failback": Failback.WINDOW,
            "there": Side.FIT,
        },
        Wish.HERE,
        "it runs here until its window {window} opens, and goes to {peer}, the preferred host, if that has been fit for"
        " {hold_down_s} s",
        "`servha tree move` would not have waited for the window",
    ),
    Row("kept", {"holder": Holder.US}, Wish.HERE, "it runs here and nothing asks for a change"),
    # The peer holds it, or held it when it was last heard.
    Row("theirs", {"holder": Holder.PEER, "there": UP}, Wish.THERE, "{peer} holds it"),
    Row(
        "maintained-off",
        {"hands_off": True},
        Wish.NOWHERE,
        "it is in maintenance ({maintenance}): only an order starts it",
        "an order to start it, or the end of its maintenance, would have let it start",
    ),
    Row(
        "failed-alone",
        {"here": Side.PARKED_ALONE, "there": {Side.GONE, Side.NO_HOST}},
        Wish.NOWHERE,
        "{failure}",
        "an order to start it would try again",
    ),
    Row(
        "manual-owner-lost",
        {"holder": Holder.PEER, "start_mode": StartMode.MANUAL, "pin": {Pin.FREE, Pin.THERE}},
        Wish.NOWHERE,
        "its start mode is manual: only an order starts it here",
        "start mode auto would have let it be taken over",
    ),
    Row(
        "highest-only",
        {
            "holder": Holder.PEER,
            "switch_policy": SwitchPolicy.HIGHEST_ONLY,
            "first": False,
            "pin": {Pin.FREE, Pin.THERE},
        },
        Wish.NOWHERE,
        "its switch policy lets only the most preferred host take it over",
        "switch policy by-priority would have let it be taken over",
    ),
    Row("unfit-taker", {"holder": Holder.PEER, "here": Side.UNFIT}, Wish.NOWHERE, "{failure}"),
    Row("owner-lost", {"holder": Holder.PEER}, Wish.HERE, "{peer}, which held it, is gone"),
    # Nobody holds it.
    Row(
        "manual-start-failed",
        {"pin": Pin.HERE, "here": FAILED},
        Wish.NOWHERE,
        "{failure}",
        "an order to start it would try again",
    ),
    Row("ordered-here", {"pin": Pin.HERE}, Wish.HERE, "an order placed it here"),
    Row(
        "ordered-there",
        {"pin": Pin.THERE, "there": {Side.FIT, Side.UNFIT, Side.WORN}},
        Wish.THERE,
        "an order placed it on {peer}",
    ),
    Row(
        "manual-start-failed-there",
        {"pin": Pin.THERE, "there": FAILED},
        Wish.NOWHERE,
        "it could not be started on {peer}, where an order placed it",
        "an order to start it would try again",
    ),
    Row(
        "manual",
        {"start_mode": StartMode.MANUAL, "pin": Pin.FREE},
        Wish.NOWHERE,
        "its start mode is manual: it waits for an order",
    ),
    Row("unfit-alone", {"here": Side.UNFIT, "there": {Side.GONE, Side.NO_HOST}}, Wish.NOWHERE, "{failure}"),
    Row(
        "highest-only-alone",
        {"switch_policy": SwitchPolicy.HIGHEST_ONLY, "first": False, "there": Side.GONE},
        Wish.NOWHERE,
        "its switch policy lets only the most preferred host start it",
        "switch policy by-priority would have let it start here",
    ),
    Row("only-us", {"there": {Side.GONE, Side.NO_HOST}}, Wish.HERE, "no other host is there"),
    Row(
        "stay-after-failure",
        {"here": FAILED, "start_failure": StartFailure.STAY},
        Wish.NOWHERE,
        "{failure}",
        "start failure policy next-host would have let {peer} try",
    ),
    Row(
        "stay-after-failure-there",
        {"there": FAILED, "start_failure": StartFailure.STAY},
        Wish.NOWHERE,
        "it could not be started on {peer}, and its start failure policy is stay",
        "start failure policy next-host would have let this node try",
    ),
    Row(
        "nobody-fit",
        {"here": OUT, "there": OUT},
        Wish.NOWHERE,
        "{failure}",
        "an order to start it would try again",
    ),
    Row("they-cannot", {"there": OUT}, Wish.HERE, "{peer} cannot run it"),
    Row("we-cannot", {"here": OUT}, Wish.THERE, "{failure}"),
    Row("preferred", {"first": True}, Wish.HERE, "this node is its preferred host"),
    Row("second", {"first": False}, Wish.THERE, "{peer} is its preferred host"),
)
