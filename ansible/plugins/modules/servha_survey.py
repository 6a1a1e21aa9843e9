#!/usr/bin/python
"""Looks at a server and changes nothing; servha_preflight compares what two of them have told."""

from __future__ import annotations

DOCUMENTATION = r"""
module: servha_survey
short_description: Look at a server on which ServHA is or is to be
description:
  - Tells system, interfaces, users, shared disks, taken ports, commands, clock, and what guards the machine.
  - Changes nothing and judges nothing; M(servha.cluster.servha_preflight) does that with the answers of both servers.
version_added: "0.1.0"
author:
  - ServHA maintainers (@servha)
attributes:
  check_mode:
    support: full
    description: Changes nothing in any mode.
options:
  asked_s:
    description: Time of the controller's clock, in seconds since 1970, with which the server's is compared.
    type: float
    required: true
  users:
    description: Users of the applications, whose numbers have to be the same on both servers.
    type: list
    elements: str
    default: []
  disks:
    description: Shared disks.
    type: list
    elements: str
    default: []
  units:
    description: Services that resource trees start.
    type: list
    elements: str
    default: []
  references:
    description: Addresses that should answer.
    type: list
    elements: str
    default: []
  addresses:
    description: Virtual addresses, which nobody else may have.
    type: list
    elements: str
    default: []
  password:
    description: The password that is declared, to be compared with that of the cluster the server is in.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Look at the server
  servha.cluster.servha_survey:
    asked_s: "{{ now().timestamp() }}"
    users: [postgres]
  register: survey
"""

RETURN = r"""
survey:
  description: What was found. What could not be found out is null.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.servha.cluster.plugins.module_utils.machine_survey import survey

NAMES = ("users", "disks", "units", "references", "addresses")


def main():
    """Look and tell."""
    lists = {name: {"type": "list", "elements": "str", "default": []} for name in NAMES}
    module = AnsibleModule(
        argument_spec={
            "asked_s": {"type": "float", "required": True},
            "password": {"type": "str", "default": "", "no_log": True},
            **lists,
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, survey=survey(module.params))


if __name__ == "__main__":
    main()
