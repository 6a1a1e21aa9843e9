#!/usr/bin/python
"""Compares what both servers have told with what is declared, and reports everything that is wrong at once."""

from __future__ import annotations

DOCUMENTATION = r"""
module: servha_preflight
short_description: Judge two servers before ServHA is set up on them
description:
  - Compares the answers of M(servha.cluster.servha_survey) with each other and with what the inventory declares.
  - Reports every problem of both servers at once, as one table with what is to be done below it.
  - Runs on the controller, once. Changes nothing, and does not fail; whoever runs it looks at RV(problem_count).
version_added: "0.1.0"
author:
  - ServHA maintainers (@servha)
attributes:
  check_mode:
    support: full
    description: Changes nothing in any mode.
options:
  surveys:
    description: What each server has told, by its name in the inventory; the first server first.
    type: dict
    required: true
  links:
    description: Heartbeats of each server, by the same names.
    type: dict
    default: {}
  cluster:
    description: Name of the cluster that is declared.
    type: str
    default: ""
  users:
    description: Users of the applications.
    type: list
    elements: str
    default: []
  disks:
    description: Shared disks, the quorum disk among them.
    type: list
    elements: str
    default: []
  quorum_disk:
    description: The quorum disk.
    type: str
    default: ""
  quorum_force:
    description: Serial number of the quorum disk whose contents may be lost.
    type: str
    default: ""
  arbitration:
    description: Who breaks the tie; names a quorum disk or not.
    type: str
    default: none
  references:
    description: Reference addresses.
    type: list
    elements: str
    default: []
  addresses:
    description: Virtual addresses of the trees, each with or without its prefix length.
    type: list
    elements: str
    default: []
  installs:
    description: Whether ServHA will be installed from a bundle.
    type: bool
    default: false
  python:
    description: The Python that was named to run ServHA.
    type: str
    default: ""
  packages:
    description: Whether missing packages will be installed.
    type: bool
    default: false
  firewall:
    description: Whether the firewall will be opened.
    type: bool
    default: false
  replacing:
    description: Whether one of the servers takes the place of another, so that only the other one is in the cluster.
    type: bool
    default: false
  selinux:
    description: What will be done to SELinux.
    type: str
    choices: [unchanged, permissive, disabled]
    default: unchanged
  language:
    description: Language of the report.
    type: str
    choices: [en, zh-CN]
    default: en
"""

EXAMPLES = r"""
- name: Compare both servers
  servha.cluster.servha_preflight:
    surveys: "{{ dict(servers | zip(servers | map('extract', hostvars, ['survey', 'survey']))) }}"
    users: [postgres]
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
problem_count:
  description: How many problems there are.
  returned: always
  type: int
warning_count:
  description: How many warnings there are.
  returned: always
  type: int
report:
  description: The table, every finding, and the verdict, as lines.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.servha.cluster.plugins.module_utils.preflight_checks import PROBLEM, WARNING
from ansible_collections.servha.cluster.plugins.module_utils.preflight_report import count, examined, report
from ansible_collections.servha.cluster.plugins.module_utils.spoken import LANGUAGES

LISTS = ("users", "disks", "references", "addresses")
TEXTS = ("cluster", "quorum_disk", "quorum_force", "python")
SWITCHES = ("installs", "packages", "firewall", "replacing")


def main():
    """Compare and report."""
    module = AnsibleModule(
        argument_spec={
            "surveys": {"type": "dict", "required": True},
            "links": {"type": "dict", "default": {}},
            "arbitration": {"type": "str", "default": "none"},
            "selinux": {
                "type": "str",
                "choices": ["unchanged", "permissive", "disabled"],
                "default": "unchanged",
            },
            "language": {"type": "str", "choices": list(LANGUAGES), "default": "en"},
            **{name: {"type": "list", "elements": "str", "default": []} for name in LISTS},
            **{name: {"type": "str", "default": ""} for name in TEXTS},
            **{name: {"type": "bool", "default": False} for name in SWITCHES},
        },
        supports_check_mode=True,
    )
    params = module.params
    declared = {**params, "arbitration_needs_disk": "quorum-disk" in params["arbitration"]}
    findings = examined(params["surveys"], declared)
    module.exit_json(
        changed=False,
        problem_count=count(findings, PROBLEM),
        warning_count=count(findings, WARNING),
        report=report(params["surveys"], findings, params["language"]),
    )


if __name__ == "__main__":
    main()
