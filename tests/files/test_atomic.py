"""A file is written whole or not at all: what was there before survives a failure."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from accel_logreg.files.atomic import atomic_write, publish


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
@pytest.mark.parametrize("failing", ["body", "fsync"])
def test_a_failing_write_leaves_the_old_file(
    tmp_path: Path, error: BaseException, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise error

    if failing == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(type(error)), atomic_write(path) as file:  # noqa: PT012
        file.write(b"new")
        if failing == "body":
            fail()
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "old"


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_mode_follows_the_umask(tmp_path: Path, umask: int, mode: int) -> None:
    path = tmp_path / "file"
    before = os.umask(umask)
    try:
        with atomic_write(path) as file:
            file.write(b"new")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert path.read_bytes() == b"new"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link.bin"
    link.symlink_to(tmp_path / "real" / "target.bin")
    with atomic_write(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert (tmp_path / "real" / "target.bin").read_bytes() == b"new"


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "none" / "file"):
        pass
    with pytest.raises(IsADirectoryError, match="name a file in it"), atomic_write(tmp_path):
        pass


def test_publishing_replaces_all_files(tmp_path: Path) -> None:
    publish(tmp_path / "a" / "b", {"x.png": b"1", "page.html": b"2"}, "page.html")
    publish(tmp_path / "a" / "b", {"x.png": b"3", "page.html": b"4"}, "page.html")
    assert {path.name: path.read_bytes() for path in (tmp_path / "a" / "b").iterdir()} == {
        "x.png": b"3",
        "page.html": b"4",
    }


def test_publishing_that_fails_leaves_the_old_report(tmp_path: Path) -> None:
    publish(tmp_path, {"x.png": b"old", "page.html": b"old"}, "page.html")
    (tmp_path / "y.png").mkdir()  # a folder where a file should go
    with pytest.raises(IsADirectoryError):
        publish(tmp_path, {"x.png": b"new", "y.png": b"new", "page.html": b"new"}, "page.html")
    assert (tmp_path / "x.png").read_bytes() == b"old"
    assert (tmp_path / "page.html").read_bytes() == b"old"
    assert {path.name for path in tmp_path.iterdir()} == {"x.png", "y.png", "page.html"}
