"""Talks to a node's init from outside."""

from __future__ import annotations

import json
import socket
from typing import Any

from servha.core.words import say
from servha.lab.layout import NodeLayout
from servha.lab.trouble import Exit, LabError


def order(
    node: NodeLayout, *, verb: str, service: str = "", within_s: float = 100.0, **more: Any
) -> dict[str, Any]:
    """Give one order and return the answer; `start`, `stop` and `restart` answer when they are done.

    Raises:
        LabError: no such service or verb, no init, or no end in time.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(within_s)
        try:
            line.connect(str(node.control))
            line.sendall(json.dumps({"verb": verb, "service": service, **more}).encode() + b"\n")
            answer = json.loads(line.makefile("r", encoding="utf-8").readline())
        except TimeoutError as error:
            problem = say(
                '{node}: "{verb} {service}" has not ended after {limit_s} s; its log is {log}',
                node=node.name,
                verb=verb,
                service=service,
                limit_s=within_s,
                log=str(node.log / f"{service}.log"),
            )
            raise LabError(problem, Exit.TIMED_OUT) from error
        except (OSError, ValueError) as error:
            raise LabError(say("{node} does not answer: {why}", node=node.name, why=str(error))) from error
    if "problem" in answer:
        problem = say(
            '{node}: {why}: "{verb} {service}"; services are listed by: servha lab service {node} status',
            node=node.name,
            why=answer["problem"],
            verb=verb,
            service=service,
        )
        raise LabError(problem, Exit.NO_SUCH)
    return dict(answer)
