#!/usr/bin/python
"""Puts an empty partition label on a disk, as `mklabel` of parted does, on a disk that nobody needs.

Decides whether the label may be written. Never decides which disk is meant, and never makes a partition.
"""

from __future__ import annotations

DOCUMENTATION = r"""
module: disk_label
short_description: Give a disk an empty msdos or GPT label
description:
  - Writes an empty partition label to a disk that is blank, as the first step of preparing the quorum disk.
  - Refuses a disk that carries anything it does not know, so a file system, a volume, partitions, the quorum area of
    another cluster, or bytes of unknown origin, unless I(force_serial) names the serial number of that very disk.
  - Refuses a disk that is in use, that is mounted at boot, or that somebody has open for itself, whatever is given.
version_added: "0.1.0"
author:
  - ServHA maintainers (@servha)
options:
  path:
    description: The disk, best by a name below V(/dev/disk/by-id).
    type: path
    required: true
  label:
    description: Kind of label.
    type: str
    choices: [msdos, gpt]
    default: msdos
  force_serial:
    description:
      - Serial number or WWN of the disk whose contents may be lost. It has to be the one that the disk gives.
      - The first two MiB and the last MiB are then overwritten with zeros before the label is written.
    type: str
    default: ""
  own_clusters:
    description: Numbers of the clusters whose quorum area may stay on the disk, because these nodes are in them.
    type: list
    elements: str
    default: []
  partitions:
    description: What a label of the wanted kind may have. V(none) for a quorum disk, V(any) for a disk of data.
    type: str
    choices: [none, any]
    default: none
attributes:
  check_mode:
    description: Looks at the disk and tells what would be done.
    support: full
  diff_mode:
    description: Shows label and contents before and after.
    support: full
requirements:
  - blkid (util-linux)
  - parted
"""

EXAMPLES = r"""
- name: Label the quorum disk
  servha.cluster.disk_label:
    path: /dev/disk/by-id/wwn-0x60080e50002a3f
    label: msdos
"""

RETURN = r"""
serials:
  description: Every serial number that the disk gives; I(force_serial) takes any of them.
  returned: when the disk is there
  type: list
  elements: str
contents:
  description: What stood on the disk, in words. Empty for a blank disk.
  returned: when the disk is there
  type: list
  elements: str
label_id:
  description: The number of the label, by which a disk without a serial number is known; empty in check mode.
  returned: when the disk is there
  type: str
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.servha.cluster.plugins.module_utils.block_devices import (
    MEBIBYTE,
    BlockDevice,
    CannotTell,
    Contents,
    block_device,
    contents,
    open_elsewhere,
    uses,
)
from ansible_collections.servha.cluster.plugins.module_utils.spoken import said

NAMES = {"msdos": "dos", "gpt": "gpt"}
"""What blkid calls them."""


def main() -> None:
    """Look, decide, write, read back."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "label": {"type": "str", "choices": ["msdos", "gpt"], "default": "msdos"},
            "force_serial": {"type": "str", "default": ""},
            "own_clusters": {"type": "list", "elements": "str", "default": []},
            "partitions": {"type": "str", "choices": ["none", "any"], "default": "none"},
        },
        supports_check_mode=True,
    )
    try:
        _carry_out(module)
    except CannotTell as error:
        module.fail_json(msg=str(error))


def _carry_out(module: AnsibleModule) -> None:
    wanted = NAMES[module.params["label"]]
    device = block_device(module.params["path"])
    before = contents(device)
    known = {"serials": list(device.serials), "contents": in_words(before)}
    reasons = obstacles(before, wanted, module.params["own_clusters"], module.params["partitions"])
    if before.label == wanted and not reasons:
        in_use = [] if module.params["partitions"] == "any" else [said(use) for use in uses(device)]
        if in_use:
            module.fail_json(msg=f"{device.path} is in use: {'; '.join(in_use)}", **known)
        module.exit_json(changed=False, label_id=before.label_id, **known)
    if before.label and before.label != wanted and not before.partitions:
        reasons.insert(0, f"a {before.label} label")
    in_use = [said(use) for use in uses(device)]
    if not in_use and open_elsewhere(device):
        in_use.append("a program has it open for itself, as servha-guardd has a quorum disk")
    if in_use:
        module.fail_json(msg=f"{device.path} is in use: {'; '.join(in_use)}. Nothing was changed.", **known)
    if reasons:
        refusal = refused(device, reasons, module.params["force_serial"])
        if refusal:
            module.fail_json(msg=refusal, **known)
    diff = {
        "before": f"{device.path}: {', '.join(in_words(before)) or 'blank'}; label {before.label or 'none'}\n",
        "after": f"{device.path}: blank; label {wanted}\n",
    }
    if module.check_mode:
        module.exit_json(changed=True, diff=diff, label_id="", **known)
    parted = module.get_bin_path("parted", required=True)
    if reasons:
        _empty(device)
    module.run_command(
        [parted, "--script", "--", device.path, "mklabel", module.params["label"]], check_rc=True
    )
    after = contents(device)
    if after.label != wanted or after.partitions:
        module.fail_json(msg=f"{device.path} does not carry the label after parted wrote it", **known)
    module.exit_json(changed=True, diff=diff, label_id=after.label_id, **known)


def in_words(found: Contents) -> list[str]:
    """Return what stands on a disk, in English."""
    return [said(one) for one in found.words()]


def obstacles(found: Contents, wanted: str, own_clusters: list[str], partitions: str) -> list[str]:
    """Return, in words, what on the disk stands against writing the label, or against leaving it as it is."""
    if found.label == wanted and found.partitions and partitions == "any":
        return []
    own = Contents(
        label=found.label,
        partitions=found.partitions,
        signatures=found.signatures,
        quorum_of="" if found.quorum_of in own_clusters else found.quorum_of,
        # Below a label that stands already nothing is written, so bytes there are no business of this module.
        unknown_at=() if found.label == wanted else found.unknown_at,
    )
    return in_words(own)


def refused(device: BlockDevice, reasons: list[str], force_serial: str) -> str:
    """Return why the disk must not be written, "" where the right serial number was given."""
    carried = f"{device.path} carries {'; '.join(reasons)}"
    if force_serial and force_serial in device.serials:
        return ""
    if force_serial:
        return (
            f"{carried}, and force_serial names {force_serial}, while this disk is"
            f" {' or '.join(device.serials) or 'without a serial number'}. Nothing was changed."
        )
    if device.serials:
        return (
            f"{carried}. Choose another disk; if nothing on it is needed, set force_serial to"
            f" {device.serials[0]}. Nothing was changed."
        )
    return (
        f"{carried}. Choose another disk; it has no serial number that could be named, so if nothing on it is needed"
        f" empty it by hand: wipefs --all {device.path}. Nothing was changed."
    )


def _empty(device: BlockDevice) -> None:
    """Overwrite what the first two MiB and the last held, so that nothing finds it again."""
    descriptor = os.open(device.path, os.O_WRONLY | os.O_EXCL | os.O_CLOEXEC)
    try:
        for at, size in (
            (0, min(2 * MEBIBYTE, device.size_bytes)),
            (max(0, device.size_bytes - MEBIBYTE), MEBIBYTE),
        ):
            os.pwrite(descriptor, bytes(min(size, device.size_bytes - at)), at)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    main()
