"""`servha quorum label`: make a shared disk the quorum disk of this cluster.

Decides whether the disk may be used: never one that carries anything that is not a quorum disk's label, never one
that this machine uses, never one that a node writes to at this moment, whatever was typed. `--force` with the name
of this cluster only replaces a label that nobody uses. What stands in the first MiB is read and left alone.
"""

from __future__ import annotations

import argparse

from servha.arbiters.quorum_disk import DirectIo, label_trouble
from servha.cli import exits
from servha.cli.block_device import LABEL_BYTES, BlockDevice, block_device, partition_count, signatures, uses
from servha.cli.quorum_reading import (
    Here,
    Watched,
    device_rows,
    here,
    is_taken,
    label_of,
    opened,
    read,
    size_words,
    watch,
    watch_s,
)
from servha.cli.screen import Screen
from servha.core.words import Text, say
from servha.wire import sector
from servha.wire.rpc import Code, Refusal
from servha.wire.sector import Header, Reason, Reject

WATCH_LABEL_S = 2.0
"""How long a disk that carries a label is watched before it is labelled anew."""

AREA_BYTES = sector.SCRATCH_AT + 2 * sector.BLOCK_BYTES - sector.BASE_AT
PIECE_BYTES = sector.SLOTS_BYTES


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Look, plan, ask, write, read back."""
    cluster = here()
    device = block_device(args.device)
    if device.size_bytes < sector.DEVICE_BYTES_MIN:
        raise Refusal(
            Code.REFUSED,
            say(
                "{device} has {size}; a quorum disk needs at least {least}",
                device=device.name,
                size=size_words(device.size_bytes),
                least=size_words(sector.DEVICE_BYTES_MIN),
            ),
        )
    io = opened(device)
    try:
        found = label_of(io, device, cluster)
        _refuse_if_machine_uses_it(device)
        _refuse_if_it_carries_anything(device, io, found)
        if isinstance(found, Header) and not args.force:
            return _ended(screen, device, cluster, changed=False)
        _refuse_unless_meant(args.force, device, cluster, found)
        _refuse_if_node_uses_it(device, io, cluster, found)
    finally:
        io.close()
    if not screen.json:
        _show_plan(screen, device, cluster, found)
    if args.dry_run:
        return exits.OK if not screen.json else _ended(screen, device, cluster, changed=False)
    if not args.yes and not _agreed(screen):
        screen.line(say("Nothing was changed."))
        return exits.FAILED
    _write(device, cluster)
    return _ended(screen, device, cluster, changed=True)


# --- what is refused --------------------------------------------------------------------------------------------


def _is_labelled(found: Header | Reject) -> bool:
    return isinstance(found, Header) or found.reason not in (Reason.BLANK, Reason.NOT_A_RECORD)


def _refuse_if_machine_uses_it(device: BlockDevice) -> None:
    """Refuse a disk that is mounted, swapped to, part of something, or meant to be mounted at boot."""
    used = uses(device)
    if used:
        raise _refusal(device, used[0], say("free it first; a quorum disk is used by nothing else"))


def _refuse_unless_meant(typed: str, device: BlockDevice, cluster: Here, found: Header | Reject) -> None:
    """Replace a label only for somebody who typed this cluster's name."""
    name = cluster.document.cluster.name
    if typed and typed != name:
        raise Refusal(
            Code.USAGE, say("this cluster is called {cluster}, not {typed}", cluster=name, typed=typed)
        )
    if isinstance(found, Reject) and _is_labelled(found) and not typed:
        raise Refusal(
            Code.REFUSED,
            say(
                "{because}; to label it anew: `servha quorum label {device} --force {cluster}`",
                because=label_trouble(device.name, found),
                device=device.name,
                cluster=name,
            ),
        )


def _refuse_if_node_uses_it(device: BlockDevice, io: DirectIo, cluster: Here, found: Header | Reject) -> None:
    """Refuse a disk that this node has open for itself, or that any node of any cluster writes to. No force helps."""
    if is_taken(device):
        because = say("something on this node has it open for itself, as servha-guardd does")
        raise _refusal(device, because, _stop_both())
    if not _is_labelled(found):
        return
    for node, watched in enumerate(watch(io, device, cluster, watch_s(cluster, WATCH_LABEL_S))):
        if watched.changes:
            raise _refusal(device, _writer(node, watched, cluster), _stop_both())


def _writer(node: int, watched: Watched, cluster: Here) -> Text:
    if watched.side.slot is None:
        return say("a node of another cluster writes to it at this moment")
    return say("{node} writes to it at this moment", node=watched.side.slot.host or cluster.node_name(node))


def _stop_both() -> Text:
    return say(
        "stop the trees (`servha tree stop`), then servhad on both nodes (`systemctl stop servhad`): servha-guardd lets"
        " go of the disk a few seconds later"
    )


def _refuse_if_it_carries_anything(device: BlockDevice, io: DirectIo, found: Header | Reject) -> None:
    """Refuse a disk with a file system, a partition, or bytes of unknown origin where records would go."""
    remedy = say(
        "choose another disk; if nothing on it is needed, `wipefs --all {device}` makes it empty",
        device=device.name,
    )
    known = signatures(device)
    if known:
        raise _refusal(device, known[0], remedy)
    pieces = range(0, LABEL_BYTES, PIECE_BYTES)
    count = partition_count(b"".join(read(io, device, at, PIECE_BYTES) for at in pieces))
    if count:
        raise _refusal(
            device,
            say("partitions: {count}", count=count),
            say("choose another disk; an empty partition label may stay, partitions may not"),
        )
    if isinstance(found, Reject) and found.reason in (Reason.BLANK, Reason.NOT_A_RECORD):
        pieces = range(sector.BASE_AT, sector.BASE_AT + AREA_BYTES, sector.BLOCK_BYTES)
        for at in pieces:
            if any(read(io, device, at, sector.BLOCK_BYTES)):
                raise _refusal(
                    device,
                    say("data of unknown origin at byte {at}", at=at),
                    say(
                        "choose another disk; if nothing on it is needed, empty that place with"
                        " `dd if=/dev/zero of={device} bs=1M seek=1 count=1`",
                        device=device.name,
                    ),
                )


def _refusal(device: BlockDevice, because: Text, remedy: Text) -> Refusal:
    return Refusal(
        Code.REFUSED,
        say(
            "{device} cannot become the quorum disk: {because}; {remedy}",
            device=device.name,
            because=because,
            remedy=remedy,
        ),
    )


# --- what is done -----------------------------------------------------------------------------------------------


def _show_plan(screen: Screen, device: BlockDevice, cluster: Here, found: Header | Reject) -> None:
    screen.line(say("Plan for cluster {cluster}:", cluster=cluster.document.cluster.name), mood="strong")
    screen.table(device_rows(device, screen))
    screen.line(
        say(
            "writes the label of cluster {cluster} at 1 MiB and makes both nodes' places empty; the first MiB and"
            " everything from 2 MiB on stay as they are",
            cluster=cluster.document.cluster.name,
        ),
        indent=2,
    )
    if isinstance(found, Header):
        screen.line(say("replaces the label that this cluster wrote before"), mood="warn", indent=2)
    elif found.reason is Reason.FOREIGN_CLUSTER:
        screen.line(
            say("takes the disk from cluster {cluster}, which loses its quorum disk", cluster=found.detail),
            mood="warn",
            indent=2,
        )
    elif found.reason not in (Reason.BLANK, Reason.NOT_A_RECORD):
        screen.line(
            say("replaces: {because}", because=label_trouble(device.name, found)), mood="warn", indent=2
        )
    if not device.is_stable:
        screen.line(_advice(device), mood="warn", indent=2)


def _advice(device: BlockDevice) -> Text:
    if device.stable_names:
        return say(
            "{device} may be another disk after the next boot; the lasting name is {name}",
            device=device.name,
            name=device.stable_names[0],
        )
    return say(
        "{device} may be another disk after the next boot, and it has no lasting name", device=device.name
    )


def _agreed(screen: Screen) -> bool:
    if not screen.interactive or screen.json:
        raise Refusal(Code.USAGE, say("nobody is here to be asked; add --yes when the plan is what you want"))
    return screen.agreed(say("Go on?"))


def _write(device: BlockDevice, cluster: Here) -> None:
    """Slots first, the label last: a disk half done carries no label."""
    nodes = tuple(
        sector.node_mark(cluster.cluster_id, name) if (name := cluster.node_name(node)) != "-" else "0" * 32
        for node in (0, 1)
    )
    timing = cluster.document.timing
    header = Header(
        cluster.cluster_id,
        (nodes[0], nodes[1]),
        cluster.document.generation,
        timing.limits,
        round(timing.dead_s * 1000),
    )
    block = sector.encode_header(header, cluster.key)
    io = DirectIo()
    try:
        io.open(device.name)
        # An old label must not stand beside new slots, should we be cut off in between.
        io.write(sector.HEADERS_AT, bytes(sector.HEADERS_BYTES))
        io.write(sector.SLOTS_AT, bytes(sector.SLOTS_BYTES))
        io.write(sector.SCRATCH_AT, bytes(2 * sector.BLOCK_BYTES))
        io.write(sector.HEADERS_AT + sector.BLOCK_BYTES, block)
        io.write(sector.HEADERS_AT, block)
        kept = io.read(sector.HEADERS_AT, sector.HEADERS_BYTES)
    except OSError as error:
        text = say(
            "{device} could not be written: {reason}", device=device.name, reason=error.strerror or str(error)
        )
        raise Refusal(Code.FAILED, text) from error
    finally:
        io.close()
    if kept != block + block:
        raise Refusal(
            Code.FAILED, say("{device} does not give back what was written to it", device=device.name)
        )


def _ended(screen: Screen, device: BlockDevice, cluster: Here, *, changed: bool) -> int:
    if screen.json:
        screen.answer(
            {
                "changed": changed,
                "device": device.name,
                "stable_names": list(device.stable_names),
                "size_bytes": device.size_bytes,
                "array_id": device.array_id,
                "cluster": cluster.document.cluster.name,
                "cluster_id": cluster.cluster_id,
            }
        )
        return exits.OK
    name = next(iter(device.stable_names), device.name) if not device.is_stable else device.name
    if changed:
        screen.line(
            say(
                "{device} is the quorum disk of cluster {cluster}.",
                device=device.name,
                cluster=cluster.document.cluster.name,
            ),
            mood="good",
        )
    else:
        screen.line(say("Nothing to change: it carries this cluster's label already."))
    if cluster.document.cluster.quorum_disk not in (name, device.name, *device.stable_names):
        screen.line(
            say("Next: `servha cluster edit --arbitration quorum-disk --quorum-disk {device}`", device=name)
        )
    return exits.OK
