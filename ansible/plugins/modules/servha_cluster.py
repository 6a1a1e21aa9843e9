#!/usr/bin/python
"""Brings a node into its cluster: makes it on the first node, joins it on the second, keeps arbitration as declared."""

from __future__ import annotations

DOCUMENTATION = r"""
module: servha_cluster
short_description: A node is in its ServHA cluster
description:
  - On the first node, makes the cluster; on the other one, joins it. A node that is in that cluster already stays.
  - On the first node, also keeps reference addresses, the quorum disk and the policy of arbitration as declared. A
    quorum disk is made this cluster's before it is put in force; servhad refuses one that carries anything else.
  - A node that is in another cluster is refused; C(servha cluster wipe) takes it out.
version_added: "0.1.0"
author:
  - ServHA maintainers (@servha)
attributes:
  check_mode:
    support: full
    description: Nothing is done.
  diff_mode:
    support: full
    description: Shows the cluster's section before and after.
options:
  name:
    description: Name of the cluster.
    type: str
    required: true
  node:
    description: Name of this node in it.
    type: str
    required: true
  first_address:
    description: An address of the first node; empty on the first node itself.
    type: str
    default: ""
  links:
    description:
      - The heartbeats in order of preference, each with C(name), C(nic), and C(address) where the interface has more
        than one.
    type: list
    elements: dict
    required: true
  password:
    description: The cluster's password, with which nodes join and people log in.
    type: str
    required: true
  code:
    description: Code from C(servha cluster invite) on the first node, with which this one joins without a password.
    type: str
    default: ""
  profile:
    description: Heartbeat figures of a new cluster.
    type: str
    choices: [manual, fast]
    default: manual
  arbitration:
    description: Who breaks the tie when the nodes lose each other. For a quorum disk see the role C(quorum_disk).
    type: str
    choices: [none, reference-address, quorum-disk, reference-address-and-quorum-disk]
    default: none
  references:
    description: Addresses that are always there, such as the gateway.
    type: list
    elements: str
    default: []
  quorum_disk:
    description: The labelled quorum disk, best by a name below V(/dev/disk/by-id).
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: The first server makes the cluster
  servha.cluster.servha_cluster:
    name: clinic
    node: node1
    links:
      - {name: private, nic: eth2}
      - {name: public, nic: eth1}
    password: "{{ vault_cluster_password }}"
    arbitration: reference-address
    references: [192.0.2.254]
"""

RETURN = r"""
cluster:
  description: The cluster's section of the configuration afterwards.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.servha.cluster.plugins.module_utils.servha_command import Command, as_text


def link_words(links):
    """Return the options that name this node's end of each heartbeat."""
    return [
        "--link={name}={nic}".format(**link) + (":" + link["address"] if link.get("address") else "")
        for link in links
    ]


def init(command, params):
    """Make the cluster; a quorum disk comes afterwards, for its label carries the cluster's number."""
    words = ["--name", params["name"], "--node", params["node"], "--profile", params["profile"]]
    if not params["quorum_disk"]:
        words += ["--arbitration", params["arbitration"]]
    words += ["--reference=" + one for one in params["references"]]
    command.must(
        "cluster",
        "init",
        *words,
        *link_words(params["links"]),
        "--password-file=-",
        data=params["password"] + "\n",
    )


def join(command, params):
    """Join the cluster of the first node."""
    words = [params["first_address"], "--node", params["node"], *link_words(params["links"])]
    if params["code"]:
        command.must("cluster", "join", *words, "--code", params["code"])
    else:
        command.must("cluster", "join", *words, "--password-file=-", data=params["password"] + "\n")


def keep(command, document, declared):
    """Put the declared section in force, with the quorum disk labelled before."""
    disk = declared.get("quorum_disk", "")
    if disk and disk != document["cluster"].get("quorum_disk", ""):
        command.must("quorum", "label", disk, "--yes")
    document["cluster"] = {**document["cluster"], **declared}
    command.put(document)


def main():
    """Compare, show, change."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "node": {"type": "str", "required": True},
            "first_address": {"type": "str", "default": ""},
            "links": {"type": "list", "elements": "dict", "required": True},
            "password": {"type": "str", "required": True, "no_log": True},
            "code": {"type": "str", "default": "", "no_log": True},
            "profile": {"type": "str", "choices": ["manual", "fast"], "default": "manual"},
            "arbitration": {
                "type": "str",
                "choices": ["none", "reference-address", "quorum-disk", "reference-address-and-quorum-disk"],
                "default": "none",
            },
            "references": {"type": "list", "elements": "str", "default": []},
            "quorum_disk": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    command, params = Command(module), module.params
    document = command.document()
    before = dict((document or {}).get("cluster", {}))
    declared = {
        "name": params["name"],
        "policy": params["arbitration"],
        "references": params["references"],
        "quorum_disk": params["quorum_disk"],
    }
    if document is not None and before["name"] != params["name"]:
        module.fail_json(
            msg="this node is in cluster {known}, not in {name}: `servha cluster wipe` takes it out".format(
                known=before["name"], name=params["name"]
            )
        )
    if document is None:
        changed = True
        if not module.check_mode:
            if params["first_address"]:
                join(command, params)
            else:
                init(command, params)
                if params["quorum_disk"]:
                    keep(command, command.document(), declared)
    else:
        changed = {**before, **declared} != before and not params["first_address"]
        if changed and not module.check_mode:
            keep(command, document, declared)
        elif changed:
            document["cluster"] = {**before, **declared}
            command.put(document)
    after = {**before, **declared}
    if changed and not module.check_mode:
        after = command.document()["cluster"]
    diff = {"before": as_text(before), "after": as_text(after), "before_header": "cluster"}
    module.exit_json(changed=changed, cluster=after, diff=diff)


if __name__ == "__main__":
    main()
