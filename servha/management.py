"""A small blocking client of servhad's management API: by unix socket on this machine, by TLS on any other.

Decides how long to wait and what "nobody answers" is called. Refuses to understand an answer: that is the
business of whoever asked. Over TLS it reports the certificate that was shown; the asker says whether it is the
one that belongs there.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self

from servha.core.words import Text, say
from servha.wire import rpc
from servha.wire.keys import fingerprint

SOCKET: Final = "/run/servha/servhad.sock"
ANSWER_WITHIN_S: Final = 30.0
PIECE_BYTES: Final = 256 * 1024
PORT: Final = 25792
DIAL_WITHIN_S: Final = 5.0
_ALPN: Final = "servha/1"


class NotRunning(Exception):
    """Nobody answers at the socket; `text` says why and what to do."""

    def __init__(self, text: Text) -> None:
        super().__init__(text)
        self.text = text


class LateAnswer(Exception):
    """servhad took the question and did not answer in time."""

    def __init__(self, text: Text) -> None:
        super().__init__(text)
        self.text = text


def socket_path() -> str:
    """Where servhad listens: SERVHA_SOCKET, else its usual place."""
    return os.environ.get("SERVHA_SOCKET") or SOCKET


class Client:
    """One connection. Opened at the first question; a context manager closes it.

    Raises `NotRunning`, `LateAnswer`, or `servha.wire.rpc.Refusal` with the daemon's own words.
    """

    def __init__(
        self,
        path: str = "",
        *,
        address: tuple[str, int] | None = None,
        answer_within_s: float = ANSWER_WITHIN_S,
    ) -> None:
        self.path = path or socket_path()
        self.address = address
        self.answer_within_s = answer_within_s
        self.certificate_sha256 = ""
        """Of the node at `address`, once connected."""
        self._socket: socket.socket | ssl.SSLSocket | None = None
        self._decoder = rpc.FrameDecoder()
        self._frames: list[bytes] = []
        self._id = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next question opens a new one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._decoder = rpc.FrameDecoder()
        self._frames.clear()

    def interrupt(self) -> None:
        """End the wait of another thread that reads from this connection."""
        line = self._socket
        if line is not None:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def call(self, verb: str, /, *, within_s: float | None = None, **args: Any) -> Any:
        """Ask, and return the one answer. `within_s`: seconds to wait for it."""
        result: Any = None
        for answer in self.stream(verb, within_s=within_s or self.answer_within_s, **args):
            result = answer
        return result

    def stream(self, verb: str, /, *, within_s: float | None = None, **args: Any) -> Iterator[Any]:
        """Ask, and yield every answer as it comes; `within_s` None waits for the next one without end."""
        self._send(verb, args)
        while True:
            reply = rpc.decode_reply(self._frame(within_s))
            if reply.id != self._id:
                continue  # the rest of an answer that nobody read to its end
            if reply.failure is not None:
                raise rpc.Refusal(reply.failure.code, reply.failure.text, reply.failure.problems)
            if reply.result is not None or not reply.more:
                yield reply.result
            if not reply.more:
                return

    def _send(self, verb: str, args: dict[str, Any]) -> None:
        self._id += 1
        frame = rpc.encode_request(rpc.Request(self._id, verb, args))
        if self._socket is None:
            self._socket = self._open()
        try:
            self._socket.settimeout(self.answer_within_s)
            self._socket.sendall(frame)
        except OSError as error:
            self.close()
            raise NotRunning(say("servhad closed the connection: {reason}", reason=str(error))) from error

    @property
    def place(self) -> str:
        """Where servhad is asked, in words."""
        return self.path if self.address is None else f"{self.address[0]}:{self.address[1]}"

    def _open(self) -> socket.socket:
        if self.address is not None:
            return self._dial(self.address)
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        line.settimeout(self.answer_within_s)
        try:
            line.connect(self.path)
        except PermissionError as error:
            line.close()
            raise rpc.Refusal(
                rpc.Code.NOT_PERMITTED,
                say("only root may talk to servhad at {path}; run the command with sudo", path=self.path),
            ) from error
        except OSError as error:
            line.close()
            raise NotRunning(
                say(
                    "servhad is not running: nobody answers at {path}; `systemctl start servhad`",
                    path=self.path,
                )
            ) from error
        return line

    def _dial(self, address: tuple[str, int]) -> ssl.SSLSocket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # self-signed: who it is shows in `certificate_sha256`
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols([_ALPN])
        try:
            plain = socket.create_connection(address, timeout=DIAL_WITHIN_S)
            try:
                line = context.wrap_socket(plain)
            except BaseException:
                plain.close()
                raise
        except OSError as error:
            raise NotRunning(
                say(
                    "nobody answers at {place}: {reason}; is the node on, and is its port {port} open?",
                    place=self.place,
                    reason=error.strerror or str(error),
                    port=address[1],
                )
            ) from error
        self.certificate_sha256 = fingerprint(line.getpeercert(binary_form=True) or b"")
        return line

    def _frame(self, within_s: float | None) -> bytes:
        assert self._socket is not None
        self._socket.settimeout(within_s)
        while not self._frames:
            try:
                piece = self._socket.recv(PIECE_BYTES)
            except TimeoutError as error:
                self.close()
                raise LateAnswer(
                    say("servhad has not answered within {within_s:.0f} s", within_s=within_s or 0.0)
                ) from error
            except OSError as error:
                self.close()
                raise NotRunning(say("servhad closed the connection: {reason}", reason=str(error))) from error
            if not piece:
                self.close()
                raise NotRunning(
                    say("servhad ended before it answered; `servha status` shows whether it is back")
                )
            self._frames.extend(self._decoder.feed(piece))
        return self._frames.pop(0)
