#!/usr/bin/python
"""Measures for how long an address does not answer, as a client sees it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: servha_outage
short_description: How long a client gets no answer
description:
  - Tries an address at fixed times, until it has answered steadily after an outage, and tells the longest outage.
  - Runs where the clients are, in general on the controller, with C(async) beside what is measured.
version_added: "0.1.0"
author:
  - ServHA maintainers (@servha)
attributes:
  check_mode:
    support: full
    description: It changes nothing anyway.
options:
  url:
    description: What a client uses, beginning with C(http://), C(https://) or C(tcp://) for HOST:PORT.
    type: str
    required: true
  every_ms:
    description: Milliseconds between attempts; the result is no more exact than this.
    type: int
    default: 100
  timeout_ms:
    description: Milliseconds after which an attempt has failed.
    type: int
    default: 1000
  steady_s:
    description: Seconds for which it has to answer after an outage.
    type: int
    default: 5
  within_s:
    description: Seconds after which it ends at the latest.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: Measure beside what follows
  servha.cluster.servha_outage:
    url: http://192.0.2.100/
  delegate_to: localhost
  async: 150
  poll: 0
  register: measuring
"""

RETURN = r"""
outage_ms:
  description: The longest outage in milliseconds; 0 where every attempt was answered.
  returned: always
  type: int
outages:
  description: How many there were.
  returned: always
  type: int
tried:
  description: How many attempts there were.
  returned: always
  type: int
unanswered:
  description: How many of them had no answer.
  returned: always
  type: int
answers:
  description: Whether it answers at the end.
  returned: always
  type: bool
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.servha.cluster.plugins.module_utils.servha_attempts import outages, watch


def main():
    """Watch, and tell."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "every_ms": {"type": "int", "default": 100},
            "timeout_ms": {"type": "int", "default": 1000},
            "steady_s": {"type": "int", "default": 5},
            "within_s": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    params = module.params
    seen = watch(
        params["url"],
        every_s=params["every_ms"] / 1000,
        timeout_s=params["timeout_ms"] / 1000,
        steady_s=params["steady_s"],
        within_s=params["within_s"],
    )
    found = outages(seen)
    module.exit_json(
        changed=False,
        outage_ms=round(1000 * max((lasted for _, lasted in found), default=0)),
        outages=len(found),
        tried=len(seen),
        unanswered=sum(not good for _, good in seen),
        answers=bool(seen) and seen[-1][1],
    )


if __name__ == "__main__":
    main()
