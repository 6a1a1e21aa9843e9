"""One table for both servers: every check a line, every server a column, and below it what is to be done.

Decides the order of the checks and what a cell says. Whether a finding is a problem is decided by the checks.
"""

from __future__ import annotations

from ansible_collections.servha.cluster.plugins.module_utils import (
    preflight_checks,
    preflight_disks,
    preflight_surroundings,
)
from ansible_collections.servha.cluster.plugins.module_utils.preflight_checks import (
    BOTH,
    PROBLEM,
    WARNING,
    Pair,
)
from ansible_collections.servha.cluster.plugins.module_utils.spoken import padded, said, told, width

CHECKS = {
    "operating system": preflight_checks.systems,
    "Python, root": preflight_checks.pythons,
    "two machines": preflight_checks.identities,
    "interfaces": preflight_checks.interfaces,
    "networks": preflight_checks.segments,
    "reference address": preflight_surroundings.references,
    "virtual address": preflight_surroundings.virtual,
    "ports": preflight_surroundings.ports,
    "firewall": preflight_surroundings.firewalls,
    "users": preflight_checks.users,
    "services": preflight_surroundings.units,
    "shared disks": preflight_disks.disks,
    "disks free": preflight_disks.free,
    "quorum disk": preflight_disks.quorum,
    "commands": preflight_surroundings.commands,
    "clocks": preflight_surroundings.clocks,
    "SELinux, AppArmor, KYSEC": preflight_surroundings.guards,
    "cluster": preflight_surroundings.clusters,
}
FINE = "fine"
_WORSE = {FINE: 0, WARNING: 1, PROBLEM: 2}


def examined(surveys, declared):
    """Return the findings of every check: {check: [(server or BOTH, PROBLEM or WARNING, sentence)]}."""
    pair = Pair(surveys, declared)
    return {name: list(check(pair)) for name, check in CHECKS.items()}


def count(findings, severity):
    """Return how many findings are so severe."""
    return sum(one[1] == severity for found in findings.values() for one in found)


def table(servers, findings, language):
    """Return the table as lines."""
    rows = [["", *servers]]
    for name, found in findings.items():
        cells = [
            max((one[1] for one in found if one[0] in (server, BOTH)), key=_WORSE.get, default=FINE)
            for server in servers
        ]
        rows.append([said(told(name), language), *(said(told(cell), language) for cell in cells)])
    columns = [max(width(row[at]) for row in rows) for at in range(len(rows[0]))]
    return ["  ".join(padded(cell, columns[at]) for at, cell in enumerate(row)).rstrip() for row in rows]


def sentences(findings, language):
    """Return what was found as lines, problems first."""
    lines = []
    for severity in (PROBLEM, WARNING):
        for name, found in findings.items():
            for server, how, sentence in found:
                if how == severity:
                    where = server or said(told("both servers"), language)
                    lines.append(
                        said(
                            told(
                                "{severity}: {check}, {where}: {sentence}",
                                severity=told(severity),
                                check=told(name),
                                where=where,
                                sentence=sentence,
                            ),
                            language,
                        )
                    )
    return lines


def verdict(findings, language):
    """Return the last line."""
    problems, warnings = count(findings, PROBLEM), count(findings, WARNING)
    if problems:
        sentence = told(
            "{problems} problem(s), {warnings} warning(s). Nothing was changed",
            problems=problems,
            warnings=warnings,
        )
    else:
        sentence = told("no problem, {warnings} warning(s)", warnings=warnings)
    return said(sentence, language)


def report(surveys, findings, language):
    """Return the whole report as lines."""
    return [
        *table(list(surveys), findings, language),
        *sentences(findings, language),
        verdict(findings, language),
    ]
