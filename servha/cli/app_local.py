"""What `servha app add` and `undo` do: data, variables, tree; in an order from which there is always a way back.

The record comes first, then the data, then the variables, the tree last: whatever fails before the tree is in the
configuration is put back at once. Refuses to undo under a tree that may be running.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from servha.apps import looks, moving, record
from servha.apps.copying import CannotMove
from servha.apps.record import Record
from servha.cli.app_plan import Plan
from servha.cli.change import bad, document_of, refuse_if_held
from servha.config import edit as edits
from servha.config.document import Document, to_data
from servha.core.words import Text, say
from servha.management import Client, LateAnswer, NotRunning
from servha.wire.rpc import Code, Refusal

REPLACE_WITHIN_S = 60.0


def record_of(tree: str) -> Record:
    """Return the record of a tree. Raises `Refusal` when there is none, or none that can be used."""
    kept = _read(tree)
    if kept is None:
        raise Refusal(
            Code.NO_SUCH, say("nothing was done on this node for {tree}: there is no record", tree=tree)
        )
    return kept


def _read(tree: str) -> Record | None:
    try:
        return record.read(tree)
    except record.Unreadable as unreadable:
        raise Refusal(Code.FAILED, unreadable.text) from unreadable


def carry_out(client: Client, plan: Plan, *, alone: bool) -> int:
    """Do the plan; return the generation in force. Raises `Refusal` after having put everything back."""
    tree = plan.application.tree_name
    if _read(tree) is not None:
        raise Refusal(
            Code.EXISTS,
            say("{tree} was added on this node before: `servha app undo {tree}` puts that back", tree=tree),
        )
    content = "".join(f"{name}={value}\n" for name, value in plan.proposal.variables.items()).encode()
    _refuse_strange_file(plan.file, content)
    kept = Record(
        application=plan.application.name,
        tree=tree,
        moves=tuple(move for move in plan.moves if not moving.is_done(move)),
        file=plan.file,
        made_tree=plan.makes_tree,
    )
    try:
        record.write(kept)
        for move in kept.moves:
            moving.carry_out(move, still_stopped=functools.partial(_busy, [move.source]))
        if plan.file:
            record.store(Path(plan.file), content)
        if not plan.makes_tree:
            return plan.base.generation
        return _replace(client, plan.base, plan.edited, alone=alone)
    except (CannotMove, OSError, Refusal) as error:
        _back_at_once(kept)
        if isinstance(error, Refusal):
            raise
        reason = error.text if isinstance(error, CannotMove) else say("{reason}", reason=str(error))
        raise Refusal(Code.FAILED, say("{reason}; everything is as it was", reason=reason)) from error
    except (LateAnswer, NotRunning) as unknown:
        # servhad may have taken the tree over: nothing may be moved under it.
        raise Refusal(
            Code.TIMED_OUT,
            say(
                "{reason}; look with `servha status`, then `servha app undo {tree}`",
                reason=unknown.text,
                tree=tree,
            ),
        ) from unknown


def _refuse_strange_file(file: str, content: bytes) -> None:
    path = Path(file)
    if file and path.exists() and path.read_bytes() != content:
        raise Refusal(Code.EXISTS, say("{file} is there with other variables: move it elsewhere", file=file))


def _busy(paths: list[str]) -> Text | None:
    seen = looks.in_use(paths)
    return None if seen.verdict is looks.Verdict.FINE else seen.text


def _back_at_once(kept: Record) -> None:
    """Put back what a failed attempt did: nobody has used the copy, so it is still like the original and goes."""
    try:
        _files_back(kept)
        _forget(kept)
    except (CannotMove, OSError) as error:
        reason = error.text if isinstance(error, CannotMove) else say("{reason}", reason=str(error))
        raise Refusal(
            Code.FAILED,
            say(
                "{reason}; put it right, then `servha app undo {tree}` puts the rest back",
                reason=reason,
                tree=kept.tree,
            ),
        ) from error


def _files_back(kept: Record, keep: moving.Keep | None = None) -> list[Text]:
    return [moving.put_back(move, keep=keep) for move in reversed(kept.moves)]


def _forget(kept: Record) -> None:
    if kept.file:
        Path(kept.file).unlink(missing_ok=True)
    record.forget(kept.tree)


def refuse_undo(client: Client, kept: Record) -> None:
    """Raise `Refusal` while the tree may be running, or something uses what would be put back."""
    if document_of(client).tree(kept.tree) is not None:
        refuse_if_held(kept.tree)
    busy = _busy([path for move in kept.moves for path in (move.source, move.target)])
    if busy is not None and kept.moves:
        raise Refusal(Code.REFUSED, busy)


def put_back(client: Client, kept: Record, *, keep: str | None, alone: bool) -> list[Text]:
    """Put the files back, then delete the tree; return what was done. Raises `Refusal`."""
    try:
        said = _files_back(kept, moving.Keep(keep) if keep else None)
    except CannotMove as cannot:
        raise Refusal(Code.REFUSED, cannot.text) from cannot
    base = document_of(client)
    if kept.made_tree and base.tree(kept.tree) is not None:
        edited = edits.delete_tree(base, kept.tree)
        if isinstance(edited, list):
            raise bad(edited, say("nothing was changed; problems: {count}", count=len(edited)))
        _replace(client, base, edited, alone=alone)
        said.append(say("tree {tree} is deleted", tree=kept.tree))
    _forget(kept)
    return said


def _replace(client: Client, base: Document, edited: Document, *, alone: bool) -> int:
    result: Any = client.call(
        "config.replace",
        base_generation=base.generation,
        document=to_data(edited),
        alone=alone,
        within_s=REPLACE_WITHIN_S,
    )
    after = base.generation + 1
    return int(result.get("generation", after)) if isinstance(result, dict) else after
