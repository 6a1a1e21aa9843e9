"""Whatever is cut off at whatever moment, a node finds the old or the new configuration, and says what it lost."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from servha.config.disk import Disk
from servha.config.document import Document, digest, successor
from servha.config.store import GENERATIONS_KEPT, NAME, STAGED, NotStaged, Store


class PowerCut(Exception):
    """The machine went dark here."""


class CuttingDisk(Disk):
    """A real directory whose machine loses power at step number `cut_at`: before it, or in the middle of a write."""

    def __init__(self, directory: Path, cut_at: int, share: float = 0.0) -> None:
        super().__init__(directory)
        self.steps = itertools.count()
        self.cut_at = cut_at
        self.share = share

    def _step(self) -> bool:
        return next(self.steps) == self.cut_at

    def write(self, name: str, content: bytes) -> None:
        if self._step():
            super().write(name, content[: int(len(content) * self.share)])
            raise PowerCut
        super().write(name, content)

    def rename(self, old: str, new: str) -> None:
        if self._step():
            raise PowerCut
        super().rename(old, new)

    def link(self, name: str, second: str) -> None:
        if self._step():
            raise PowerCut
        super().link(name, second)

    def remove(self, name: str) -> None:
        if self._step():
            raise PowerCut
        super().remove(name)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def changed(base: Document) -> Document:
    return successor(base, replace(base, links=base.links[::-1]))


def grown(store: Store, base: Document, count: int) -> Document:
    for _ in range(count):
        base = changed(base)
        store.save(base)
    return base


def test_a_node_without_a_file_is_in_no_cluster(store: Store) -> None:
    found = store.load()
    assert (found.document, found.alarms, found.problems) == (None, (), ())


def test_what_was_saved_is_loaded_and_is_for_root_only(
    store: Store, tmp_path: Path, document: Document
) -> None:
    store.save(document)
    assert store.load().document == document
    assert store.load().alarms == ()
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


def test_the_directory_is_made_for_root_only(tmp_path: Path, document: Document) -> None:
    Store(tmp_path / "deep" / "er").save(document)
    assert (tmp_path / "deep" / "er").stat().st_mode & 0o777 == 0o700


def test_what_is_staged_is_not_in_force(store: Store, document: Document) -> None:
    store.save(document)
    store.stage(changed(document))
    assert store.load().document == document
    assert store.staged() == changed(document)
    store.discard()
    store.discard()
    assert store.staged() is None


def test_only_what_was_staged_is_put_in_force(store: Store, document: Document) -> None:
    store.save(document)
    staged = changed(document)
    store.stage(staged)
    with pytest.raises(NotStaged) as refused:
        store.commit(staged.generation, "0" * 64)
    assert "propose it again" in str(refused.value)
    assert store.load().document == document
    assert store.commit(staged.generation, digest(staged)) == staged
    assert store.commit(staged.generation, digest(staged)) == staged
    assert store.load().document == staged
    assert store.staged() is None


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_power_cut_at_any_step_leaves_the_old_or_the_new(
    tmp_path: Path, document: Document, share: float
) -> None:
    new = changed(document)
    outcomes: list[Document | None] = []
    for cut_at in range(20):
        directory = tmp_path / str(cut_at)
        Store(directory).save(document)
        cut = CuttingDisk(directory, cut_at, share)
        try:
            Store(directory, cut).save(new)
        except PowerCut:
            found = Store(directory).load()
            assert found.document in (document, new)
            assert found.alarms == ()
            # After the power is back the same change goes through.
            Store(directory).save(new)
        else:
            break
        finally:
            outcomes.append(Store(directory).load().document)
    else:
        pytest.fail("the save never got to its end")
    assert len(outcomes) > 4
    assert all(outcome == new for outcome in outcomes)


def test_a_power_cut_while_old_generations_are_removed_loses_nothing(
    tmp_path: Path, document: Document
) -> None:
    last = grown(Store(tmp_path), document, GENERATIONS_KEPT + 1)
    new = changed(last)
    with pytest.raises(PowerCut):
        Store(tmp_path, CuttingDisk(tmp_path, 4)).save(new)
    assert Store(tmp_path).load().document == new


def test_the_first_save_leaves_nothing_or_all(tmp_path: Path, document: Document) -> None:
    for cut_at, share in itertools.product(range(3), (0.0, 0.5)):
        directory = tmp_path / f"{cut_at}-{share}"
        with pytest.raises(PowerCut):
            Store(directory, CuttingDisk(directory, cut_at, share)).save(document)
        assert Store(directory).load().document is None
        assert Store(directory).load().alarms == ()


def test_ten_earlier_generations_are_kept(store: Store, document: Document) -> None:
    store.save(document)
    last = grown(store, document, 15)
    assert store.generations() == list(range(last.generation - 10, last.generation))
    before = store.earlier(last.generation - 1)
    assert before is not None
    assert last.parent_digest == digest(before)
    assert store.earlier(1) is None


def test_the_ancestry_goes_back_as_far_as_is_known(store: Store, document: Document) -> None:
    store.save(document)
    last = grown(store, document, 2)
    assert store.ancestry()[0] == digest(last)
    assert store.ancestry()[1] == last.parent_digest
    assert store.ancestry()[2:] == (digest(document), document.parent_digest)


DAMAGE: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("torn", lambda content: content[: len(content) // 2]),
    ("empty", lambda _: b""),
    ("zeros", lambda content: bytes(len(content))),
    ("one letter", lambda content: content.replace(b"priv0", b"priv1", 1)),
    ("no envelope", lambda _: b"{}"),
    ("a list", lambda _: b"[]"),
    ("not UTF-8", lambda content: content.replace(b"priv0", b"\xff\xfev0", 1)),
]


@pytest.mark.parametrize("damage", [change for _, change in DAMAGE], ids=[name for name, _ in DAMAGE])
def test_a_damaged_file_is_noticed_and_the_one_before_used(
    store: Store, tmp_path: Path, document: Document, damage: Callable[[bytes], bytes]
) -> None:
    store.save(document)
    grown(store, document, 1)
    path = tmp_path / NAME
    path.write_bytes(damage(path.read_bytes()))
    found = store.load()
    assert found.document == document
    damaged, instead = (str(alarm) for alarm in found.alarms)
    assert damaged == f"{path} is damaged: its checksum does not fit"
    assert instead.startswith("generation 4 of the configuration is used instead; ")


def test_a_missing_file_with_earlier_generations_is_an_alarm(
    store: Store, tmp_path: Path, document: Document
) -> None:
    store.save(document)
    grown(store, document, 1)
    (tmp_path / NAME).unlink()
    found = store.load()
    assert found.document == document
    assert str(found.alarms[0]) == f"the configuration file {tmp_path / NAME} is missing"


def test_with_everything_damaged_nothing_is_used(store: Store, tmp_path: Path, document: Document) -> None:
    store.save(document)
    grown(store, document, 2)
    for path in tmp_path.iterdir():
        path.write_bytes(b"rot")
    found = store.load()
    assert found.document is None
    assert len(found.alarms) == 3


def test_a_file_of_a_newer_release_is_never_replaced_by_an_older_generation(
    store: Store, document: Document
) -> None:
    store.save(document)
    newer = replace(changed(document), format=2)
    store.stage(newer)
    store._disk.link(NAME, f"{NAME}.{document.generation}")
    store._disk.rename(STAGED, NAME)
    found = store.load()
    assert found.document is None
    assert [problem.path for problem in found.problems] == ["format"]


def test_a_damaged_staged_file_is_none(store: Store, tmp_path: Path, document: Document) -> None:
    store.save(document)
    store.stage(changed(document))
    (tmp_path / STAGED).write_bytes(b"rot")
    assert store.staged() is None
    with pytest.raises(NotStaged):
        store.commit(document.generation + 1, digest(changed(document)))


def test_nothing_is_left_after_a_wipe(store: Store, tmp_path: Path, document: Document) -> None:
    store.save(document)
    grown(store, document, 2)
    (tmp_path / "events").write_bytes(b"not ours")
    store.wipe()
    assert [path.name for path in tmp_path.iterdir()] == ["events"]


def test_a_power_cut_while_staging_leaves_what_was_staged_before(tmp_path: Path, document: Document) -> None:
    first, second = changed(document), changed(changed(document))
    for cut_at, share in itertools.product(range(2), (0.0, 0.5)):
        Store(tmp_path).stage(first)
        with pytest.raises(PowerCut):
            Store(tmp_path, CuttingDisk(tmp_path, cut_at, share)).stage(second)
        assert Store(tmp_path).staged() == first


def test_content_is_on_the_disk_before_its_name_and_the_name_before_the_answer(
    tmp_path: Path, document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    fsync, replace_file = os.fsync, Path.replace

    def watched_fsync(descriptor: int) -> None:
        told.append(f"fsync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        fsync(descriptor)

    def watched_replace(path: Path, target: Path) -> Path:
        told.append(f"rename {path.name} {target.name}")
        return replace_file(path, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    Store(tmp_path).save(document)
    assert told == [
        "fsync cluster.json.new",
        "rename cluster.json.new cluster.json.staged",
        f"fsync {tmp_path.name}",
        "rename cluster.json.staged cluster.json",
        f"fsync {tmp_path.name}",
    ]
