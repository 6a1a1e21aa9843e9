#!/usr/bin/python
"""Keeps one resource of a tree as it is declared; the tree has to be there."""

from __future__ import annotations

DOCUMENTATION = r"""
module: servha_resource
short_description: One resource of a ServHA tree
description:
  - Creates, changes or deletes one resource in the configuration of both nodes at once.
  - Use M(servha.cluster.servha_tree) where the whole tree is declared.
version_added: "0.1.0"
author:
  - ServHA maintainers (@servha)
attributes:
  check_mode:
    support: full
    description: The daemon looks at the change and nothing is done.
  diff_mode:
    support: full
    description: Shows the resource before and after.
options:
  tree:
    description: Name of the tree.
    type: str
    required: true
  name:
    description: Name of the resource.
    type: str
    required: true
  state:
    description: Whether there is such a resource.
    type: str
    choices: [present, absent]
    default: present
  kind:
    description: Its kind, one of C(servha resource kinds). Needed for a new one.
    type: str
  settings:
    description: The settings of the kind, complete.
    type: dict
  after:
    description: What has to run first.
    type: list
    elements: str
  options:
    description: Everything else as it is called in the configuration, such as C(start_timeout_s) or C(detectors).
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: A second address for the tree web
  servha.cluster.servha_resource:
    tree: web
    name: vip2
    kind: ipv4
    settings:
      address: 192.0.2.101/24
      nic: eth0
"""

RETURN = r"""
resource:
  description: The resource as it is configured afterwards; empty when it is absent.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.servha.cluster.plugins.module_utils.servha_command import (
    Command,
    as_text,
    named,
)


def wanted_resource(known, params):
    """Return the resource as it is to be."""
    declared = {name: params[name] for name in ("kind", "settings", "after") if params[name] is not None}
    return {"name": params["name"], **(known or {}), **declared, **params["options"]}


def main():
    """Compare, show, change."""
    module = AnsibleModule(
        argument_spec={
            "tree": {"type": "str", "required": True},
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "kind": {"type": "str"},
            "settings": {"type": "dict"},
            "after": {"type": "list", "elements": "str"},
            "options": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    command, params = Command(module), module.params
    document = command.document()
    tree = named((document or {}).get("trees", []), params["tree"])
    if tree is None:
        module.fail_json(msg="there is no tree {tree}: servha_tree creates it".format(tree=params["tree"]))
    known = named(tree["resources"], params["name"])
    if params["state"] == "present" and known is None and not params["kind"]:
        module.fail_json(msg="kind is needed for a new resource: `servha resource kinds` lists them")
    wanted = None if params["state"] == "absent" else wanted_resource(known, params)
    changed = wanted != known
    if changed:
        others = [one for one in tree["resources"] if one is not known]
        place = tree["resources"].index(known) if known in tree["resources"] else len(others)
        tree["resources"] = [*others[:place], *([wanted] if wanted else []), *others[place:]]
        command.put(document)
    after = wanted
    if changed and not module.check_mode and wanted is not None:
        after = named(named(command.document()["trees"], params["tree"])["resources"], params["name"])
    header = "resource {tree}/{name}".format(tree=params["tree"], name=params["name"])
    diff = {"before": as_text(known), "after": as_text(after), "before_header": header}
    module.exit_json(changed=changed, resource=after or {}, diff=diff)


if __name__ == "__main__":
    main()
