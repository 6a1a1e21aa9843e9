#!/usr/bin/python
"""Binds the trees to a node again as they were in an earlier configuration: after a server was replaced.

Decides what of the earlier configuration was about that node: its place among the hosts of a tree, and what resources
had for it alone. Everything else stays as it is in force.
"""

from __future__ import annotations

DOCUMENTATION = r"""
module: servha_binding
short_description: Trees bound to a node as they once were
description:
  - Takes place among the hosts, and settings for that node alone, from an earlier configuration.
  - A tree that was deleted meanwhile stays deleted, and one that was not bound to the node is left alone.
version_added: "0.1.0"
author:
  - ServHA maintainers (@servha)
attributes:
  check_mode:
    support: full
    description: The change is looked at by servhad, and not made.
  diff_mode:
    support: full
    description: Shows hosts before and after.
options:
  node:
    description: Name of the node.
    type: str
    required: true
  earlier:
    description: The earlier configuration, as C(servha cluster export) writes it.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Bind the trees to the new server
  servha.cluster.servha_binding:
    node: node2
    earlier: "{{ lookup('file', 'before.json') | from_json }}"
"""

RETURN = r"""
trees:
  description: Names of the trees that were bound.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.servha.cluster.plugins.module_utils.servha_command import Command, as_text, named


def bound(document, earlier, node):
    """Change `document` so that trees are bound to `node` as they were; return the names of those that changed."""
    changed = []
    for before in earlier.get("trees", []):
        tree = named(document.get("trees", []), before["name"])
        if tree is None or node not in before["hosts"] or node in tree["hosts"]:
            continue
        place = before["hosts"].index(node)
        tree["hosts"] = [*tree["hosts"][:place], node, *tree["hosts"][place:]]
        for resource in tree.get("resources", []):
            once = named(before.get("resources", []), resource["name"]) or {}
            if node in once.get("per_node", {}):
                resource["per_node"] = {**resource.get("per_node", {}), node: once["per_node"][node]}
        changed.append(tree["name"])
    return changed


def main():
    """Compare, show, change."""
    module = AnsibleModule(
        argument_spec={
            "node": {"type": "str", "required": True},
            "earlier": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    command = Command(module)
    document = command.document()
    if document is None:
        module.fail_json(msg="this node is in no cluster; site.yml makes one")
    before = {tree["name"]: list(tree["hosts"]) for tree in document.get("trees", [])}
    changed = bound(document, module.params["earlier"], module.params["node"])
    after = {tree["name"]: list(tree["hosts"]) for tree in document.get("trees", [])}
    if changed:
        command.put(document)
    module.exit_json(
        changed=bool(changed),
        trees=changed,
        diff={"before": as_text(before), "after": as_text(after), "before_header": "hosts"},
    )


if __name__ == "__main__":
    main()
