#!/usr/bin/python
"""Tells what a node's ServHA shows and how it is configured. Changes nothing."""

from __future__ import annotations

DOCUMENTATION = r"""
module: servha_facts
short_description: Status and configuration of ServHA as facts
description:
  - Sets the fact C(servha) to what C(servha status -o json) and C(servha cluster export) of the node say.
version_added: "0.1.0"
author:
  - ServHA maintainers (@servha)
attributes:
  check_mode:
    support: full
    description: It changes nothing anyway.
options: {}
"""

EXAMPLES = r"""
- name: Look where the application runs
  servha.cluster.servha_facts:

- name: Show it
  ansible.builtin.debug:
    msg: "{{ servha.status.trees | items2dict(key_name='name', value_name='running_on') }}"
"""

RETURN = r"""
ansible_facts:
  description: The facts.
  returned: always
  type: dict
  contains:
    servha:
      description: C(status) and C(configuration); both are null while the node is in no cluster.
      returned: always
      type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.servha.cluster.plugins.module_utils.servha_command import Command


def main():
    """Ask and tell."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    command = Command(module)
    document = command.document()
    status = command.status() if document is not None else None
    if document is not None:
        document.pop("password", None)
    module.exit_json(changed=False, ansible_facts={"servha": {"status": status, "configuration": document}})


if __name__ == "__main__":
    main()
