"""A daemon that answers from a table, on a real unix socket, and a way to run the command against it."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from servha.cli.main import main
from servha.wire import rpc
from tests.cli.quorum_bench import be, bench  # noqa: F401 - fixtures

Answer = Any  # a result, a Refusal, a list of results to stream (Stream), or a function of the arguments


@dataclass
class Stream:
    """Several answers to one question."""

    pieces: list[Any]


@dataclass
class FakeDaemon:
    path: Path
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    raw: bytes | None = None
    """Sent instead of an answer, then the connection is closed."""

    def __post_init__(self) -> None:
        self._door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._door.bind(str(self.path))
        self._door.listen(8)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self._thread.join(5)

    def arguments(self, verb: str) -> Mapping[str, Any]:
        """The arguments of the last question with this verb."""
        return [args for asked, args in self.asked if asked == verb][-1]

    def verbs(self) -> list[str]:
        return [verb for verb, _ in self.asked]

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._door.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(line,), daemon=True).start()

    def _talk(self, line: socket.socket) -> None:
        decoder = rpc.FrameDecoder()
        with line, contextlib.suppress(OSError):
            while piece := line.recv(65536):
                for frame in decoder.feed(piece):
                    request = rpc.decode_request(frame)
                    self.asked.append((request.verb, request.args))
                    if self.raw is not None:
                        line.sendall(self.raw)
                        return
                    for reply in self._replies(request):
                        line.sendall(rpc.encode_reply(reply))

    def _replies(self, request: rpc.Request) -> Iterator[rpc.Reply]:
        answer = self.answers.get(request.verb, {})
        if callable(answer):
            try:
                answer = answer(request.args)
            except rpc.Refusal as refusal:
                answer = refusal
        if isinstance(answer, rpc.Refusal):
            yield rpc.Reply(request.id, failure=answer.failure)
        elif isinstance(answer, Stream):
            for number, piece in enumerate(answer.pieces):
                yield rpc.Reply(request.id, result=piece, more=number < len(answer.pieces) - 1)
        else:
            yield rpc.Reply(request.id, result=answer)


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture(autouse=True)
def _plain_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SERVHA_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDaemon]:
    fake = FakeDaemon(tmp_path / "servhad.sock")
    monkeypatch.setenv("SERVHA_SOCKET", str(fake.path))
    yield fake
    fake.close()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run_command(*words: str) -> Ran:
        try:
            status = main(words)
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 1
        captured = capsys.readouterr()
        return Ran(status, captured.out, captured.err)

    return run_command
