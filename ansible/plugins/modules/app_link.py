#!/usr/bin/python
"""Moves a folder of an application to the shared disk and leaves a link in its place; undoes that too.

Decides in which state the folder is found, and takes it on from there, so that an attempt that was cut off is
finished by the next. Never deletes data: the old folder stays beside the link under its name with _old.
"""

from __future__ import annotations

DOCUMENTATION = r"""
module: app_link
short_description: A folder of an application lies on the shared disk, with a link in its old place
description:
  - Copies the folder to the shared disk with owners, modes, times, links, access lists and attributes, where the disk
    is mounted and nothing of that name is there yet; then keeps the old folder as C(PATH_old) and puts a link.
  - On the server where the disk is not mounted only the link is made, and its own old folder kept.
  - The application has to be stopped; the module refuses a folder that a program has files open in.
  - O(state=absent) removes the link and gives the folder its name back. What is on the disk stays there.
version_added: "0.1.0"
author:
  - ServHA maintainers (@servha)
attributes:
  check_mode:
    support: full
    description: Tells what would be done.
  diff_mode:
    support: full
    description: Shows path, link and old folder before and after.
options:
  path:
    description: The folder where the application looks for it, such as V(/var/lib/mysql).
    type: path
    required: true
  target:
    description: Where it is to lie on the shared disk, such as V(/data/mysql).
    type: path
    required: true
  mount_point:
    description: Where the shared disk is mounted; C(target) is below it.
    type: path
    required: true
  state:
    description: Whether the link is there.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: Put the data of MariaDB on the shared disk
  servha.cluster.app_link:
    path: /var/lib/mysql
    target: /data/mysql
    mount_point: /data
"""

RETURN = r"""
copied:
  description: Whether data were copied to the shared disk.
  returned: always
  type: bool
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.servha.cluster.plugins.module_utils.folders import (
    describe,
    is_mounted,
    moved_back,
    moved_over,
    opened_by,
    refusal,
)


def main():
    """Look, decide, move."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "target": {"type": "path", "required": True},
            "mount_point": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    path, target, mount_point = (Path(module.params[name]) for name in ("path", "target", "mount_point"))
    present = module.params["state"] == "present"
    before = describe(path, target)
    because = refusal(path, target, mount_point, present=present)
    if because:
        module.fail_json(msg=f"{because}. Nothing was changed.")
    is_done = before["link"] == str(target) if present else not before["link"]
    if is_done:
        module.exit_json(changed=False, copied=False)
    holders = opened_by(path)
    if holders:
        module.fail_json(
            msg=f"{path} is in use by {', '.join(holders)}: stop the application first. Nothing was changed."
        )
    copies = present and is_mounted(mount_point) and not target.exists()
    after = before
    if not module.check_mode:
        if present:
            moved_over(path, target, copies=copies)
        else:
            moved_back(path)
        after = describe(path, target)
    else:
        after = {**before, "link": str(target) if present else ""}
    module.exit_json(changed=True, copied=copies, diff={"before": _lines(before), "after": _lines(after)})


def _lines(described):
    return "".join(f"{name}: {value or '-'}\n" for name, value in described.items())


if __name__ == "__main__":
    main()
