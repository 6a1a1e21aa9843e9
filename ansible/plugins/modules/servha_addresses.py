#!/usr/bin/python
"""Keeps the ends of the heartbeats of both nodes as declared, after addresses of a server were changed.

Decides which ends differ. servhad refuses a change that it could not bring to the other node.
"""

from __future__ import annotations

DOCUMENTATION = r"""
module: servha_addresses
short_description: Ends of the heartbeats as declared
description:
  - Compares interface and address of every end with what is declared, and puts all differences in force at once.
  - An end without a declared address keeps the one that it has. Heartbeats are neither added nor removed.
  - Give the operating system the new address beside the old one first, and take the old one away afterwards.
version_added: "0.1.0"
author:
  - ServHA maintainers (@servha)
attributes:
  check_mode:
    support: full
    description: The change is looked at by servhad, and not made.
  diff_mode:
    support: full
    description: Shows the ends before and after.
options:
  ends:
    description: For each node its heartbeats, each with C(name), C(nic) and C(address) with or without prefix length.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: node2 has another address on its public interface
  servha.cluster.servha_addresses:
    ends:
      node2:
        - {name: public, nic: eth1, address: 192.0.2.12}
"""

RETURN = r"""
ends:
  description: For each node its ends afterwards.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.servha.cluster.plugins.module_utils.servha_command import Command, as_text, named


def main():
    """Compare, show, change."""
    module = AnsibleModule(
        argument_spec={"ends": {"type": "dict", "required": True}}, supports_check_mode=True
    )
    command = Command(module)
    document = command.document()
    if document is None:
        module.fail_json(msg="this node is in no cluster; site.yml makes one")
    before = {node["name"]: node["links"] for node in document["nodes"]}
    after = {}
    for name, links in before.items():
        after[name] = {link: dict(end) for link, end in links.items()}
        for wanted in module.params["ends"].get(name, []):
            end = after[name].get(wanted["name"])
            if end is None:
                module.fail_json(
                    msg=f"{name} has no heartbeat {wanted['name']}; `servha heartbeat add` makes one."
                    " Nothing was changed"
                )
            end["nic"] = wanted["nic"]
            end["address"] = _address(end["address"], str(wanted.get("address") or ""))
    unknown = sorted(set(module.params["ends"]) - set(before))
    if unknown:
        module.fail_json(msg=f"there is no node {unknown[0]} in the cluster. Nothing was changed")
    changed = after != before
    if changed:
        for node in document["nodes"]:
            node["links"] = after[node["name"]]
        command.put(document)
        if not module.check_mode:
            after = {
                node["name"]: named(command.document()["nodes"], node["name"])["links"]
                for node in document["nodes"]
            }
    module.exit_json(
        changed=changed,
        ends=after,
        diff={"before": as_text(before), "after": as_text(after), "before_header": "heartbeats"},
    )


def _address(known, declared):
    """Return the address of an end; one that is declared without its prefix length keeps that of the old one."""
    if not declared or declared == known.partition("/")[0]:
        return known
    return declared if "/" in declared else declared + "/" + (known.partition("/")[2] or "24")


if __name__ == "__main__":
    main()
