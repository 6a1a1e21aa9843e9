"""servwebd: reads its arguments, makes its certificate when there is none, tells systemd how it fares, serves.

It runs as a user of its own that may do nothing else on this machine; see units/servwebd.service.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import FrameType

import sdnotify

import servha
from servha.console import page
from servha.console.routes import WEB_SOCKET, Console
from servha.console.server import listening
from servha.console.sessions import Place
from servha.core.words import Text, say
from servha.language import preferred_language, render

PORT = 7700
EVERYWHERE = "0.0.0.0"  # noqa: S104 - browsers come from anywhere; servhad asks for the password
STATE = Path("/var/lib/servha-web")
EX_CONFIG = 78
MADE_WITHIN_S = 30.0


def parser(language: str = "en") -> argparse.ArgumentParser:
    """Return servwebd's command line."""

    def words(text: Text) -> str:
        return render(text, language)

    made = argparse.ArgumentParser(
        prog="servwebd",
        description=words(say("The ServHA web console. systemd starts it; browsers open port 7700.")),
    )
    made.add_argument(
        "--address", default=EVERYWHERE, help=words(say("listen on this address")) + " (%(default)s)"
    )
    made.add_argument(
        "--port", type=int, default=PORT, help=words(say("listen on this port")) + " (%(default)s)"
    )
    made.add_argument("--certificate", type=Path, metavar="FILE",
                      help=words(say("your own certificate, PEM; one is made when none is given")))  # fmt: skip
    made.add_argument("--key", type=Path, metavar="FILE", help=words(say("its private key, PEM")))
    made.add_argument("--plain-http", action="store_true",
                      help=words(say("do not encrypt: whoever listens on the network reads the password")))  # fmt: skip
    made.add_argument("--name", action="append", default=[], metavar="NAME",
                      help=words(say("a host name that browsers may call this console by; repeatable")))  # fmt: skip
    made.add_argument(
        "--socket", default=WEB_SOCKET, help=words(say("where servhad is asked")) + " (%(default)s)"
    )
    made.add_argument("--state", type=Path, default=STATE, metavar="DIR",
                      help=words(say("where the certificate is kept")) + " (%(default)s)")  # fmt: skip
    made.add_argument("--web", type=Path, default=page.web_directory(), metavar="DIR", help=argparse.SUPPRESS)
    made.add_argument("--version", action="version", version=f"servwebd {servha.__version__}")
    return made


def main() -> int:
    """Serve until told to end; return the exit status."""
    language = preferred_language()
    args = parser(language).parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    if (args.certificate is None) != (args.key is None):
        return _refused(say("--certificate and --key belong together: give both, or none"), language)
    console = Console(
        home=Place(socket=args.socket),
        web=args.web,
        names=frozenset(name.lower() for name in args.name),
        encrypted=not args.plain_http,
    )
    try:
        certificate, key = (None, None) if args.plain_http else _certificate(args)
        server = listening(
            page.secured(console.application),
            address=args.address,
            port=args.port,
            certificate=certificate,
            key=key,
        )
    except (OSError, subprocess.SubprocessError) as error:
        text = say(
            "the console cannot open port {port} on {address}: {reason}",
            port=args.port,
            address=args.address,
            reason=str(error),
        )
        return _refused(text, language)
    if args.plain_http:
        logging.getLogger("servha").warning("plain HTTP: whoever listens on the network reads the password")
    return _serve(server, args.port)


def _serve(server: object, port: int) -> int:
    systemd = sdnotify.SystemdNotifier()
    ended = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        ended.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    threading.Thread(target=server.serve, name="accept", daemon=True).start()  # type: ignore[attr-defined]
    systemd.notify(f"READY=1\nSTATUS=https port {port}")
    period_s = int(os.environ.get("WATCHDOG_USEC", "0") or 0) / 4e6 or None
    while not ended.wait(period_s):
        systemd.notify("WATCHDOG=1")
    systemd.notify("STOPPING=1")
    # Pages that are open hold a thread each until their next word; nothing is lost when they end with the process.
    os._exit(0)


def _certificate(args: argparse.Namespace) -> tuple[Path, Path]:
    """Return the certificate and key to show; the first time they are made, by a program of its own (8 MB less)."""
    if args.certificate is not None:
        return args.certificate, args.key
    made = args.state / "node.crt", args.state / "node.key"
    if not all(path.exists() for path in made):
        subprocess.run(
            [sys.executable, "-m", "servha.daemon.certificate", "--node", socket.gethostname()]
            + ["--out", str(args.state)],
            check=True,
            timeout=MADE_WITHIN_S,
        )
    return made


def _refused(text: Text, language: str) -> int:
    print(f"servwebd: {render(text, language)}", file=sys.stderr)
    return EX_CONFIG


if __name__ == "__main__":
    sys.exit(main())
