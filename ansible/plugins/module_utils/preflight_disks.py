"""The part of the checks that is about shared disks: the same disk on both servers, free, and nobody else's.

Decides whether a name means one disk (reading A13: number of the maker first, then the label's, never the name alone)
and whether the quorum disk may be labelled. Writes nothing; the module disk_label looks again before it writes.
"""

from __future__ import annotations

from ansible_collections.servha.cluster.plugins.module_utils.block_devices import MOUNTED
from ansible_collections.servha.cluster.plugins.module_utils.preflight_checks import BOTH, PROBLEM, WARNING
from ansible_collections.servha.cluster.plugins.module_utils.spoken import told

QUORUM_BYTES_MIN = 16 << 20


def disks(pair):
    """Every shared disk is visible on both servers and is the same there (F009)."""
    for path in pair.declared["disks"]:
        seen = {name: answer["disks"].get(path) for name, answer in pair.each()}
        for name, disk in seen.items():
            if disk is None:
                yield name, WARNING, told("{path} was not looked at", path=path)
            elif disk["error"]:
                yield name, PROBLEM, disk["error"]
        known = {name: disk for name, disk in seen.items() if disk and not disk["error"]}
        if len(known) < 2:
            continue
        (one, first), (other, second) = known.items()
        if first["size_bytes"] != second["size_bytes"] or not _same(first, second):
            yield (
                BOTH,
                PROBLEM,
                told(
                    "{path} is not the same disk on both: {first} on {one}, {second} on {other}; name it by"
                    " /dev/disk/by-id",
                    path=path,
                    first=_number(first),
                    one=one,
                    second=_number(second),
                    other=other,
                ),
            )


def _same(first, second):
    if first["serials"] and second["serials"]:
        return bool(set(first["serials"]) & set(second["serials"]))
    return bool(first["label_id"]) and first["label_id"] == second["label_id"]


def _number(disk):
    named = (disk["serials"] or [disk["label_id"] or "?"])[0]
    return f"{named} ({disk['size_bytes'] >> 20} MiB)"


def free(pair):
    """Nothing but ServHA mounts a shared disk, above all not /etc/fstab (F036, F037)."""
    quorum = pair.declared["quorum_disk"]
    for name, answer in pair.each():
        for path, disk in answer["disks"].items():
            if disk["error"]:
                continue
            for use in disk["uses"]:
                if use["template"] == MOUNTED and answer["member_of"] and path != quorum:
                    continue  # where a cluster runs, its trees mount their disks
                yield name, PROBLEM, told("{path} is in use: {use}", path=path, use=use)


def quorum(pair):
    """The quorum disk carries nothing that anybody may need, but for the area of this very cluster (F010)."""
    path = pair.declared["quorum_disk"]
    if not path:
        if pair.declared["arbitration_needs_disk"]:
            yield (
                BOTH,
                PROBLEM,
                told("cluster_arbitration wants a quorum disk; name it in cluster_quorum_disk"),
            )
        return
    for name, answer in pair.each():
        disk = answer["disks"].get(path)
        if not disk or disk["error"]:
            continue
        if disk["size_bytes"] < QUORUM_BYTES_MIN:
            yield name, PROBLEM, told("{path} is too small: 16 MiB at least, 500 MB are usual", path=path)
        own = disk["quorum_of"] in pair.clusters
        found = [
            one for one in disk["contents"] if not (own and one["params"].get("cluster") == disk["quorum_of"])
        ]
        if not found or pair.declared["quorum_force"] in disk["serials"]:
            continue
        advice = (
            told(
                "choose another disk; if nothing on it is needed, set servha_quorum_disk_force to {serial}",
                serial=disk["serials"][0],
            )
            if disk["serials"]
            else told("choose another disk, or empty this one by hand: wipefs --all {path}", path=path)
        )
        yield (
            name,
            PROBLEM,
            told(
                "the quorum disk {path} carries {contents}; {advice}",
                path=path,
                contents=found,
                advice=advice,
            ),
        )
        return  # it is one disk; the other server sees the same
