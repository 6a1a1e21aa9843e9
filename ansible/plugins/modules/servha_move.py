#!/usr/bin/python
"""Moves a running resource tree to a node, and waits until it runs there."""

from __future__ import annotations

DOCUMENTATION = r"""
module: servha_move
short_description: A resource tree runs on this node
description:
  - Gives the order C(servha tree move) and waits for its outcome; does nothing where the tree runs there already.
version_added: "0.1.0"
author:
  - ServHA maintainers (@servha)
attributes:
  check_mode:
    support: full
    description: Has servhad tell what it would do.
  diff_mode:
    support: full
    description: Shows the node before and after.
options:
  tree:
    description: Name of the resource tree.
    type: str
    required: true
  node:
    description: Name of the node in the cluster.
    type: str
    required: true
  timeout_s:
    description: Seconds to wait; the order goes on all the same.
    type: int
    default: 300
"""

EXAMPLES = r"""
- name: Let the application run on the second server
  servha.cluster.servha_move:
    tree: web
    node: node2
"""

RETURN = r"""
running_on:
  description: The node it runs on afterwards.
  returned: success
  type: str
told:
  description: What the command said, with each step and how long it took; in check mode, the plan.
  returned: changed
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.servha.cluster.plugins.module_utils.servha_command import Command
from ansible_collections.servha.cluster.plugins.module_utils.servha_readiness import tree_of


def main():
    """Look where it runs; give the order if that is another node."""
    module = AnsibleModule(
        argument_spec={
            "tree": {"type": "str", "required": True},
            "node": {"type": "str", "required": True},
            "timeout_s": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    name, node = module.params["tree"], module.params["node"]
    command = Command(module)
    tree = tree_of(command.status(), name)
    if tree is None:
        module.fail_json(msg=f"there is no tree {name}; `servha tree list` shows them")
    before = tree.get("running_on") or ""
    if before == node:
        module.exit_json(changed=False, running_on=node)
    how = ["--plan"] if module.check_mode else ["--yes", "--timeout", str(module.params["timeout_s"])]
    told = command.must("tree", "move", *how, name, node)
    diff = {"before": f"{before}\n", "after": f"{node}\n", "before_header": name, "after_header": name}
    module.exit_json(changed=True, running_on=node, told=told, diff=diff)


if __name__ == "__main__":
    main()
