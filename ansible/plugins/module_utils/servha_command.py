"""Asks the command `servha` of the node, for the modules of this collection.

Decides what counts as an answer. What may be changed is decided by servhad; its refusals are passed on in its words.
"""

from __future__ import annotations

import json
from pathlib import Path

PLACES = ("/usr/share/servha/bin", "/usr/local/bin", "/usr/bin")
NO_DAEMON = 4
NO_SUCH = 6


class Command:
    """The command line of one node, with the language of its messages fixed to English."""

    def __init__(self, module):
        self._module = module
        places = (Path(place) / "servha" for place in PLACES)
        found = next((place for place in places if place.exists()), None)
        self._is_installed = found is not None
        self._program = str(found or "servha")

    def run(self, *words, data=None):
        """Return exit status, output and error text of `servha WORDS`."""
        return self._module.run_command(
            [self._program, *words], data=data, environ_update={"SERVHA_LANG": "en", "LC_ALL": "C.UTF-8"}
        )

    def must(self, *words, data=None):
        """Return the output of `servha WORDS`; end the module with its message when it fails."""
        status, output, said = self.run(*words, data=data)
        if status != 0:
            self._module.fail_json(msg=(said or output).strip(), command=["servha", *words], rc=status)
        return output

    def document(self):
        """Return the configuration in force, None while the node is in no cluster; fail when servhad is silent.

        In check mode a node on which nothing is installed or started yet has none either: it would have been by now.
        """
        if self._module.check_mode and not self._is_installed:
            return None
        status, output, said = self.run("cluster", "export")
        if status == NO_DAEMON and self._module.check_mode:
            return None
        if status == 0:
            return json.loads(output)
        if status == NO_SUCH:
            return None
        return self._module.fail_json(
            msg=(said or output).strip(), command=["servha", "cluster", "export"], rc=status
        )

    def status(self):
        """Return what `servha status` shows; a degraded cluster is an answer too."""
        status, output, said = self.run("status", "-o", "json")
        if not output.strip():
            self._module.fail_json(msg=said.strip(), command=["servha", "status"], rc=status)
        return json.loads(output)

    def put(self, document):
        """Put a whole configuration in force, on both nodes or on none; in check mode only have it looked at."""
        verb = "plan" if self._module.check_mode else "apply"
        more = () if self._module.check_mode else ("--yes",)
        return self.must("cluster", verb, "-", *more, data=json.dumps(document))


def merged(known, wanted):
    """Return `known` with what `wanted` names in place of it; a mapping is merged, everything else replaced."""
    if not isinstance(known, dict) or not isinstance(wanted, dict):
        return wanted
    return {**known, **{name: merged(known.get(name), value) for name, value in wanted.items()}}


def named(items, name):
    """Return the item of that name, or None."""
    return next((item for item in items if item.get("name") == name), None)


def as_text(value):
    """Return plain data as a difference shows it."""
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True) + "\n" if value else ""
