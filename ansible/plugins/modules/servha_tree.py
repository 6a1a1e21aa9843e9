#!/usr/bin/python
"""Keeps one resource tree as it is declared, whole; and running or stopped where that is declared too."""

from __future__ import annotations

DOCUMENTATION = r"""
module: servha_tree
short_description: A resource tree of ServHA
description:
  - Creates, changes or deletes a resource tree in the configuration of both nodes at once.
  - What is declared is merged with what is there. The list of resources is complete; a resource that is not in it goes.
version_added: "0.1.0"
author:
  - ServHA maintainers (@servha)
attributes:
  check_mode:
    support: full
    description: The daemon looks at the change and nothing is done.
  diff_mode:
    support: full
    description: Shows the tree before and after.
options:
  name:
    description: Name of the tree.
    type: str
    required: true
  state:
    description: Whether there is such a tree.
    type: str
    choices: [present, absent]
    default: present
  hosts:
    description: Names of the nodes it may run on, the most preferred first.
    type: list
    elements: str
  settings:
    description: Policies by their names in the configuration, such as C(failback), C(start_mode), C(stop_failure).
    type: dict
    default: {}
  resources:
    description:
      - Its resources, each with C(name), C(kind), C(settings), and C(after) with the names of what has to run first.
        Everything else is as in the configuration, such as C(start_timeout_s) or C(detectors).
    type: list
    elements: dict
  running:
    description: Order it to run or to be stopped; without this it is left as it is.
    type: bool
"""

EXAMPLES = r"""
- name: A web application behind a virtual address
  servha.cluster.servha_tree:
    name: web
    hosts: [node1, node2]
    settings:
      failback: stay
    resources:
      - name: vip
        kind: ipv4
        settings:
          address: 192.0.2.100/24
          nic: eth0
      - name: app
        kind: service
        after: [vip]
        settings:
          unit: nginx.service
    running: true
"""

RETURN = r"""
tree:
  description: The tree as it is configured afterwards; empty when it is absent.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.servha.cluster.plugins.module_utils.servha_command import (
    Command,
    as_text,
    merged,
    named,
)

NO_CLUSTER = "this node is in no cluster: the role cluster makes it one, or `servha cluster init`"


def wanted_tree(known, params, trees):
    """Return the tree as it is to be, from what is there and what is declared."""
    wanted = {"name": params["name"], **params["settings"]}
    if params["hosts"]:
        wanted["hosts"] = params["hosts"]
    tree = merged(known or {"id": max((t["id"] for t in trees), default=0) + 1}, wanted)
    if params["resources"] is not None:
        there = (known or {}).get("resources", [])
        tree["resources"] = [resource_of(named(there, r.get("name")), r) for r in params["resources"]]
    return tree


def resource_of(known, declared):
    """Return a resource as it is to be. Settings are replaced as a whole: one that is not declared is not wanted."""
    return {**(known or {}), **declared}


def order(module, command):
    """Order the tree to run or to be stopped, where it was declared; return whether that was needed."""
    running = module.params["running"]
    if running is None or module.params["state"] == "absent":
        return False
    tree = named(command.status().get("trees", []), module.params["name"])
    goal = "run" if running else "stop"
    settled = tree is not None and tree["order"]["goal"] == goal and (not running or tree["running_on"])
    if settled:
        return False
    if not module.check_mode:
        command.must("tree", "start" if running else "stop", module.params["name"], "--yes")
    return True


def main():
    """Compare, show, change."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "hosts": {"type": "list", "elements": "str"},
            "settings": {"type": "dict", "default": {}},
            "resources": {"type": "list", "elements": "dict"},
            "running": {"type": "bool"},
        },
        supports_check_mode=True,
    )
    command = Command(module)
    document = command.document()
    if document is None:
        if module.check_mode:
            module.exit_json(
                changed=True, tree={}, diff={"before": "", "after": as_text(module.params["resources"])}
            )
        module.fail_json(msg=NO_CLUSTER)
    trees = document.get("trees", [])
    known = named(trees, module.params["name"])
    wanted = None if module.params["state"] == "absent" else wanted_tree(known, module.params, trees)
    changed = wanted != known
    if changed:
        others = [tree for tree in trees if tree is not known]
        place = trees.index(known) if known in trees else len(trees)
        document["trees"] = [*others[:place], *([wanted] if wanted else []), *others[place:]]
        command.put(document)
    after = wanted
    if changed and not module.check_mode:
        after = named(command.document().get("trees", []), module.params["name"])
    ordered = (module.check_mode and known is None) or order(module, command)
    diff = {
        "before": as_text(known),
        "after": as_text(after),
        "before_header": "tree " + module.params["name"],
    }
    module.exit_json(changed=changed or ordered, tree=after or {}, diff=diff)


if __name__ == "__main__":
    main()
