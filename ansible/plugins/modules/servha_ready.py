#!/usr/bin/python
"""Tells whether a resource tree could go to the other node now; ends with every reason against it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: servha_ready
short_description: A resource tree could go to the other node now
description:
  - Fails with every reason against it, such as a node that is not heard, a precondition that is not met, maintenance,
    or configurations that differ. What is unknown is a reason. Changes nothing.
version_added: "0.1.0"
author:
  - ServHA maintainers (@servha)
attributes:
  check_mode:
    support: full
    description: It changes nothing anyway.
options:
  tree:
    description: Name of the resource tree.
    type: str
    required: true
  node:
    description: The node it would go to; the one on which it does not run, if not given.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: See that the standby could take over
  servha.cluster.servha_ready:
    tree: web
"""

RETURN = r"""
running_on:
  description: The node it runs on.
  returned: success
  type: str
standby:
  description: The node it would go to.
  returned: success
  type: str
reasons:
  description: What speaks against it.
  returned: failure
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.servha.cluster.plugins.module_utils.servha_command import Command
from ansible_collections.servha.cluster.plugins.module_utils.servha_readiness import (
    reasons_against,
    standby_of,
    tree_of,
)


def main():
    """Look, and tell."""
    module = AnsibleModule(
        argument_spec={
            "tree": {"type": "str", "required": True},
            "node": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    name = module.params["tree"]
    status = Command(module).status()
    tree = tree_of(status, name) or {}
    node = module.params["node"] or standby_of(tree)
    if node and tree.get("running_on") == node:
        module.exit_json(changed=False, running_on=node, standby=standby_of(tree))
    reasons = reasons_against(status, name, node)
    if reasons:
        where = f"to {node}" if node else "to another node"
        module.fail_json(msg=f"{name} cannot go {where} now: {'; '.join(reasons)}", reasons=reasons)
    module.exit_json(changed=False, running_on=tree["running_on"], standby=node)


if __name__ == "__main__":
    main()
