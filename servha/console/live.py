"""What changes, as it changes: one connection to servhad, shared by all pages that look at the same node.

Decides from where it is read: the node that was asked for, and while that one is silent the other one, whose
addresses stand in the last picture. Decides nothing about the cluster. A page that reads slowly misses pictures in
between, never the newest one, and keeps nobody else waiting.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from servha.console.asking import other_places, resumed
from servha.console.sessions import Place, Session
from servha.core.words import Text, say
from servha.management import PORT, Client, LateAnswer, NotRunning
from servha.wire.rpc import Refusal

RETRY_S: Final = 0.3
HOME_AGAIN_S: Final = 2.0
"""How often the node that was asked for is tried while the other one answers."""
PICTURE_WITHIN_S: Final = 10.0
"""servhad shows itself every 3 s even when nothing changes; a line that is silent for longer is dead."""
ENTRIES_KEPT: Final = 1000
REPLAY_MAX: Final = 500
COMMENT_S: Final = 15.0

Opener = Callable[[Place, str, str], Client]


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page is sent: the kind of news, its number where it has one, and the data."""

    kind: str
    data: Any
    id: str = ""


@dataclass(slots=True)
class _Now:
    """The newest of everything; `version` grows with each change of picture or upstream."""

    version: int = 0
    picture: dict[str, Any] | None = None
    upstream: dict[str, Any] = field(default_factory=dict)
    entries: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=ENTRIES_KEPT))


class Feed:
    """Follows one node for any number of pages; ends itself when nobody looks any more."""

    def __init__(self, home: Place, session: Session, *, opener: Opener = resumed) -> None:
        self.home = home
        self._session = session
        self._open = opener
        self._now = _Now()
        self._changed = threading.Condition()
        self._lookers: list[Session] = []
        self._client: Client | None = None
        self._journal: Client | None = None
        self._thread: threading.Thread | None = None

    # --- for the pages ------------------------------------------------------------------------------------------

    def addresses(self) -> tuple[str, ...]:
        """Return every node's addresses, as the newest picture has them; none before the first."""
        nodes = (self._now.picture or {}).get("nodes", ())
        return tuple(link["address"] for node in nodes for link in node["links"] if link["address"])

    def follow(self, session: Session, last_id: str = "") -> Iterator[Shown | None]:
        """Yield news as they come, first what is now; None when nothing has happened for 15 s.

        `last_id` is the last journal entry that the page has seen: what came since is sent again.
        """
        with self._changed:
            self._lookers.append(session)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"feed {self.home}", daemon=True)
                self._thread.start()
        try:
            yield from self._news(last_id)
        finally:
            with self._changed:
                self._lookers.remove(session)
                if not self._lookers and self._client is not None:
                    self._client.interrupt()

    def _news(self, last_id: str) -> Iterator[Shown | None]:
        version, seen = -1, last_id
        upstream: dict[str, Any] = {}
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda version=version, seen=seen: (
                        self._now.version != version or bool(self._since(seen))
                    ),  # type: ignore[misc]
                    timeout=COMMENT_S,
                )
                now_version, picture = self._now.version, self._now.picture
                told, entries = dict(self._now.upstream), self._since(seen)
            if now_version == version and not entries:
                yield None
                continue
            if told != upstream:
                upstream = told
                yield Shown("upstream", told)
            if now_version != version and picture is not None:
                yield Shown("status", picture)
            version = now_version
            if entries:
                seen = _entry_id(entries[-1])
                yield Shown("journal", {"entries": entries}, seen)

    def _since(self, seen: str) -> list[dict[str, Any]]:
        """Return the entries after the one called `seen`; all that are kept when it is not known (any more)."""
        kept = self._now.entries
        if not kept or (seen and _entry_id(kept[-1]) == seen):
            return []
        found: list[dict[str, Any]] = []
        for entry in reversed(kept):
            if seen and _entry_id(entry) == seen:
                break
            found.append(entry)
            if len(found) >= REPLAY_MAX:
                break
        return found[::-1]

    # --- the thread that reads ----------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._lookers:
                    self._thread = None
                    return
                self._session = self._lookers[0]
            others = other_places(self._now.picture or {}, PORT)
            reason: Text | None = None
            for place in (self.home, *others):
                reason = self._read(place)
                if reason is None:
                    break
            else:
                self._tell("lost", "", reason)
            time.sleep(RETRY_S)

    def _read(self, place: Place) -> Text | None:
        """Read from one place until the line ends; return why it did not even begin, or None."""
        session = self._session
        try:
            self._client = client = self._open(place, session.ticket, session.browser)
        except (NotRunning, LateAnswer) as error:
            return error.text
        except Refusal as refusal:
            return refusal.text
        began = False
        journal = threading.Thread(target=self._read_journal, args=(place, session), daemon=True)
        home_tried_s = time.monotonic()
        try:
            for picture in client.stream("status", follow=True, within_s=PICTURE_WITHIN_S):
                with self._changed:
                    if not self._lookers:
                        return None
                    self._now.picture = picture
                if not began:
                    began = True
                    journal.start()
                self._tell("up" if place == self.home else "other-node", str(picture.get("node", "")), None)
                if place != self.home and time.monotonic() - home_tried_s > HOME_AGAIN_S:
                    home_tried_s = time.monotonic()
                    if self._answers(self.home):
                        return None
        except (NotRunning, LateAnswer, Refusal) as error:
            if not began:
                return error.text
            self._tell("lost", "", error.text)
        finally:
            self._client = None
            client.close()
            if self._journal is not None:
                self._journal.interrupt()
        return None

    def _answers(self, place: Place) -> bool:
        try:
            self._open(place, self._session.ticket, self._session.browser).close()
        except (NotRunning, LateAnswer, Refusal):
            return False
        return True

    def _read_journal(self, place: Place, session: Session) -> None:
        """Follow the journal beside the picture, on a line of its own that ends with servhad's."""
        try:
            self._journal = client = self._open(place, session.ticket, session.browser)
        except (NotRunning, LateAnswer, Refusal):
            return
        try:
            for piece in client.stream("journal", follow=True, limit=REPLAY_MAX):
                with self._changed:
                    if not self._lookers:
                        return
                    known = {_entry_id(entry) for entry in self._now.entries}
                    self._now.entries.extend(e for e in piece["entries"] if _entry_id(e) not in known)
                    self._changed.notify_all()
        except (NotRunning, LateAnswer, Refusal):
            return
        finally:
            client.close()

    def _tell(self, state: str, node: str, reason: Text | None) -> None:
        if state == "up":
            text = say("connected to {node}", node=node)
        elif state == "other-node":
            text = say("the node that was asked for does not answer; this is what {node} shows", node=node)
        else:
            text = say("no node answers: {reason}", reason=reason or say("the connection has ended"))
        with self._changed:
            self._now.version += 1
            self._now.upstream = {"state": state, "node": node, "text": text}
            self._changed.notify_all()


class Feeds:
    """One feed for each node that somebody looks at."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._feeds: dict[Place, Feed] = {}

    def of(self, session: Session) -> Feed:
        """Return the feed of the session's node."""
        with self._lock:
            return self._feeds.setdefault(session.place, Feed(session.place, session))


def _entry_id(entry: dict[str, Any]) -> str:
    return f"{entry.get('node', '')}:{entry.get('id', '')}"
