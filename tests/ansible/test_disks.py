"""disk_label and disk_filesystem on real block devices: what is blank is written, everything else is left."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from servha.wire import sector
from tests.ansible.modules import run_module
from tests.machines.guarded import loop_device

pytestmark = pytest.mark.root

MEBIBYTE = 1 << 20


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return tmp_path / "disk.img"


@pytest.fixture
def device(image: Path) -> Iterator[str]:
    with loop_device(image, "32M") as device:
        yield device


def label(tmp_path: Path, device: str, *options: str, **arguments: Any) -> dict[str, Any]:
    return run_module(tmp_path, "disk_label", *options, path=device, **arguments)


def test_a_blank_disk_gets_its_label_once(tmp_path: Path, image: Path, device: str) -> None:
    blank = image.read_bytes()
    assert label(tmp_path, device, "--check")["changed"]
    assert image.read_bytes() == blank, "check mode writes nothing"
    answer = label(tmp_path, device)
    assert (answer["changed"], answer["contents"]) == (True, [])
    assert image.read_bytes()[510:512] == b"\x55\xaa"
    labelled = image.read_bytes()
    answer = label(tmp_path, device)
    assert not answer["changed"]
    assert image.read_bytes() == labelled


def test_what_somebody_may_need_is_refused_until_that_very_disk_is_named(
    tmp_path: Path, image: Path, device: str
) -> None:
    subprocess.run(["mkfs.ext4", "-q", "-F", device], check=True)
    carried = image.read_bytes()
    answer = label(tmp_path, device)
    assert "carries a file system or volume (ext4" in answer["msg"]
    assert "Nothing was changed" in answer["msg"]
    assert f"set force_serial to {image}" in answer["msg"]
    answer = label(tmp_path, device, force_serial="another disk")
    assert "force_serial names another disk, while this disk is" in answer["msg"]
    assert image.read_bytes() == carried
    answer = label(tmp_path, device, force_serial=str(image))
    assert answer["changed"]
    found = subprocess.run(["blkid", "--probe", device], capture_output=True, text=True, check=False).stdout
    assert "ext4" not in found
    assert 'PTTYPE="dos"' in found


@pytest.mark.parametrize(
    ("at", "content", "sentence"),
    [
        (5 * MEBIBYTE // 4, b"x", "data of unknown origin"),
        (32 * MEBIBYTE - 10, b"x", "data of unknown origin"),
        (sector.HEADERS_AT, sector.HEADER_MAGIC + bytes(8) + b"\xab" * 16, f"ServHA cluster {'ab' * 16}"),
    ],
)
def test_bytes_of_others_are_seen(
    tmp_path: Path, image: Path, device: str, at: int, content: bytes, sentence: str
) -> None:
    with Path(device).open("r+b") as disk:
        disk.seek(at)
        disk.write(content)
    answer = label(tmp_path, device)
    assert sentence in answer["msg"]
    assert image.read_bytes()[510:512] != b"\x55\xaa"


def test_a_disk_in_use_is_refused_whatever_is_given(tmp_path: Path, image: Path, device: str) -> None:
    subprocess.run(["mkfs.ext4", "-q", "-F", device], check=True)
    carried = image.read_bytes()[: 2 * MEBIBYTE]
    table = tmp_path / "fstab"
    table.write_text(f"{device} /data ext4 defaults 0 2\n", encoding="utf-8")
    in_fstab = [f"mount --bind {table} /etc/fstab"]
    answer = run_module(tmp_path, "disk_label", mounts=in_fstab, path=device, force_serial=str(image))
    assert (
        f"/etc/fstab mounts {device.removeprefix('/dev/')} on /data at boot: remove that line"
        in answer["msg"]
    )
    (tmp_path / "data").mkdir()
    mounted = [f"mount {device} {tmp_path}/data"]
    answer = run_module(tmp_path, "disk_label", mounts=mounted, path=device, force_serial=str(image))
    assert f"is mounted on {tmp_path}/data" in answer["msg"]
    assert image.read_bytes()[: 2 * MEBIBYTE][510:512] == carried[510:512]


def test_what_is_no_disk_is_told(tmp_path: Path) -> None:
    assert "/dev/no-such-disk is not there" in label(tmp_path, "/dev/no-such-disk")["msg"]
    assert "is not a disk" in label(tmp_path, "/dev/null")["msg"]


def test_a_blank_data_disk_gets_a_file_system_and_one_with_data_keeps_them(
    tmp_path: Path, image: Path, device: str
) -> None:
    answer = run_module(tmp_path, "disk_filesystem", "--check", path=device)
    assert answer["changed"]
    assert not any(image.read_bytes())
    assert run_module(tmp_path, "disk_filesystem", path=device)["changed"]
    kept = image.read_bytes()
    answer = run_module(tmp_path, "disk_filesystem", path=device, filesystem="xfs")
    assert (answer["changed"], answer["filesystem"]) == (False, "ext4")
    assert image.read_bytes() == kept


def test_a_partitioned_disk_is_no_place_for_a_file_system(tmp_path: Path, device: str) -> None:
    subprocess.run(["parted", "--script", device, "mklabel", "gpt"], check=True)
    answer = run_module(tmp_path, "disk_filesystem", path=device)
    assert "name its partition" in answer["msg"]
