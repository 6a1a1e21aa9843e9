"""What lay_out.py takes of a bundle's wheels, and what it refuses."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from installer.lay_out import Misfit, digest, fitting, unpack


def wheel(folder: Path, name: str, files: dict[str, bytes], *, changed: str = "") -> Path:
    """A wheel with these files; `changed` is another one than its RECORD says."""
    path = folder / name
    record = "".join(f"{file},{digest(content)},{len(content)}\n" for file, content in files.items())
    with zipfile.ZipFile(path, "w") as made:
        for file, content in files.items():
            made.writestr(file, content + b"#" if file == changed else content)
        made.writestr("x-1.dist-info/RECORD", record)
    return path


def test_of_a_compiled_library_the_one_for_this_python_is_taken(tmp_path: Path) -> None:
    for name in (
        "fast-1-cp311-cp311-manylinux_2_28_x86_64.whl",
        "fast-1-cp312-cp312-manylinux_2_28_x86_64.whl",
        "stable-1-cp37-abi3-manylinux_2_28_x86_64.whl",
        "pure-1-py3-none-any.whl",
    ):
        (tmp_path / name).touch()
    taken = {found.name.split("-manylinux")[0] for found in fitting(tmp_path, (3, 12))}
    assert taken == {"fast-1-cp312-cp312", "stable-1-cp37-abi3", "pure-1-py3-none-any.whl"}


def test_a_library_that_does_not_fit_is_named(tmp_path: Path) -> None:
    (tmp_path / "fast-1-cp311-cp311-manylinux_2_28_x86_64.whl").touch()
    with pytest.raises(Misfit, match=r"no wheel for Python 3.14: fast"):
        fitting(tmp_path, (3, 14))


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    made = wheel(tmp_path, "x-1-py3-none-any.whl", {"x.py": b"pass\n"}, changed="x.py")
    with pytest.raises(Misfit, match=r"x.py is not what"):
        unpack(made, tmp_path / "site")


@pytest.mark.parametrize("name", ["../out.py", "a/../../out.py", "/out.py"])
def test_a_file_that_would_lie_outside_is_refused(tmp_path: Path, name: str) -> None:
    made = wheel(tmp_path, "x-1-py3-none-any.whl", {name: b"pass\n"})
    with pytest.raises(Misfit, match="outside"):
        unpack(made, tmp_path / "site")
    assert not (tmp_path / "out.py").exists()


def test_a_script_keeps_its_right_to_run_and_a_module_does_not_get_it(tmp_path: Path) -> None:
    made = wheel(
        tmp_path, "x-1-py3-none-any.whl", {"x/start": b"#!/bin/sh\n", "x/m.py": b"#!/usr/bin/python3\n"}
    )
    unpack(made, tmp_path / "site")
    assert (tmp_path / "site/x/start").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "site/x/m.py").stat().st_mode & 0o777 == 0o644
