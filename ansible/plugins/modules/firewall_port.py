#!/usr/bin/python
"""Opens ports in the firewall of the machine, whichever it is, for now and for every boot.

Decides which firewall is at work and how a port is opened in it. Never starts a firewall, and never stops one.
"""

from __future__ import annotations

DOCUMENTATION = r"""
module: firewall_port
short_description: Open ports in the firewall that is at work
description:
  - Finds the firewall that is at work, of firewalld, ufw, nftables and iptables in that order, and opens ports in it.
  - Each port is opened for now and for every boot. Where no firewall is at work nothing is changed.
  - Only the rules that it makes itself are ever removed; each carries the word C(servha) where the firewall has a
    place for it.
version_added: "0.1.0"
author:
  - ServHA maintainers (@servha)
attributes:
  check_mode:
    support: full
    description: Tells what would be opened.
  diff_mode:
    support: full
    description: Shows the open ports before and after.
options:
  ports:
    description: Ports, each as C(NUMBER/tcp) or C(NUMBER/udp).
    type: list
    elements: str
    required: true
  state:
    description: Whether they are open.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: Let the console be reached
  servha.cluster.firewall_port:
    ports: [7700/tcp]
"""

RETURN = r"""
firewall:
  description: The firewall that is at work; empty for none.
  returned: always
  type: str
kept:
  description: Whether the ports will be open after a boot as well.
  returned: always
  type: bool
"""

import re

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.servha.cluster.plugins.module_utils.firewalls import FirewallFails, at_work


def main():
    """Find the firewall, compare, change."""
    module = AnsibleModule(
        argument_spec={
            "ports": {"type": "list", "elements": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    ports = module.params["ports"]
    for port in ports:
        if not re.fullmatch(r"\d{1,5}/(tcp|udp)", port) or not 0 < int(port.partition("/")[0]) < 65536:
            module.fail_json(msg=f"{port} is not a port: write NUMBER/tcp or NUMBER/udp, such as 7700/tcp")
    try:
        firewall = at_work()
        if firewall is None:
            module.exit_json(changed=False, firewall="", kept=True)
        before = firewall.open()
        wanted = before | set(ports) if module.params["state"] == "present" else before - set(ports)
        change = wanted != before
        if change and not module.check_mode:
            firewall.put(opened=sorted(wanted - before), closed=sorted(before - wanted))
        module.exit_json(
            changed=change,
            firewall=firewall.name,
            kept=firewall.keeps,
            diff={"before": _lines(before & set(ports)), "after": _lines(wanted & set(ports))},
        )
    except FirewallFails as error:
        module.fail_json(msg=str(error))


def _lines(ports):
    return "".join(f"{port}\n" for port in sorted(ports))


if __name__ == "__main__":
    main()
