#!/usr/bin/python
"""Makes a file system on a shared data disk that is blank, and leaves every other disk as it is.

Decides whether the disk is blank. Never mounts it, and never writes /etc/fstab: a resource of the tree mounts it.
"""

from __future__ import annotations

DOCUMENTATION = r"""
module: disk_filesystem
short_description: A shared data disk has a file system
description:
  - Makes a file system on a disk or a partition that is blank. One that has a file system already is left alone.
  - Refuses anything else that stands there, and a disk that is in use; there is no way to force it.
  - The disk is not mounted, and F(/etc/fstab) is not written - a resource of kind shared_disk mounts it.
version_added: "0.1.0"
author:
  - ServHA maintainers (@servha)
attributes:
  check_mode:
    support: full
    description: Looks at the disk and tells what would be done.
  diff_mode:
    support: full
    description: Shows the file system before and after.
options:
  path:
    description: The disk or partition, best by a name below V(/dev/disk/by-id).
    type: path
    required: true
  filesystem:
    description: Kind of file system to make.
    type: str
    choices: [ext4, xfs]
    default: ext4
"""

EXAMPLES = r"""
- name: Make the data disk usable
  servha.cluster.disk_filesystem:
    path: /dev/disk/by-id/wwn-0x60080e50002a40
"""

RETURN = r"""
filesystem:
  description: The kind that stands there afterwards.
  returned: always
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.servha.cluster.plugins.module_utils.block_devices import (
    CannotTell,
    block_device,
    contents,
    open_elsewhere,
    uses,
)
from ansible_collections.servha.cluster.plugins.module_utils.spoken import said

QUIETLY = {"ext4": ["-q", "-F"], "xfs": ["-q"]}
"""-F lets mkfs.ext4 take a whole disk, which it would ask about."""


def main():
    """Look, decide, make, read back."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "filesystem": {"type": "str", "choices": ["ext4", "xfs"], "default": "ext4"},
        },
        supports_check_mode=True,
    )
    try:
        _carry_out(module)
    except CannotTell as error:
        module.fail_json(msg=str(error))


def _carry_out(module):
    path, wanted = module.params["path"], module.params["filesystem"]
    device = block_device(path)
    before = contents(device)
    if before.filesystem:
        module.exit_json(changed=False, filesystem=before.filesystem)
    found = [said(one) for one in before.words()]
    if found or before.label:
        module.fail_json(
            msg=f"{path} carries {'; '.join(found) or 'a ' + before.label + ' label'}, and is no place for a file"
            " system: name its partition, or another disk. Nothing was changed."
        )
    in_use = [said(use) for use in uses(device)]
    if not in_use and open_elsewhere(device):
        in_use = ["a program has it open for itself"]
    if in_use:
        module.fail_json(msg=f"{path} is in use: {'; '.join(in_use)}. Nothing was changed.")
    diff = {"before": f"{path}: blank\n", "after": f"{path}: {wanted}\n"}
    if not module.check_mode:
        made = module.get_bin_path(f"mkfs.{wanted}", required=True)
        module.run_command([made, *QUIETLY[wanted], path], check_rc=True)
        if contents(device).filesystem != wanted:
            module.fail_json(msg=f"{path} does not carry {wanted} after mkfs.{wanted} made it")
    module.exit_json(changed=True, filesystem=wanted, diff=diff)


if __name__ == "__main__":
    main()
