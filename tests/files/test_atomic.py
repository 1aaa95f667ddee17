"""A file is written whole or not at all: what was there before survives a failure."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
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


def test_a_named_pipe_is_written_to(tmp_path: Path) -> None:
    """And stays a pipe; where the block fails, its reader is not even woken."""
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    with pytest.raises(ValueError, match="bad"), atomic_write(pipe):
        raise ValueError("bad")
    for path in (pipe, link):
        got: list[bytes] = []
        reader = threading.Thread(target=lambda got=got: got.append(pipe.read_bytes()))
        reader.start()
        with atomic_write(path) as file:
            file.write(b"whole")
            file.seek(0)  # as NPZ and Parquet do
        reader.join(10)
        assert got == [b"whole"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert {path.name for path in tmp_path.iterdir()} == {"pipe", "link"}


def test_a_device_is_written_to(tmp_path: Path) -> None:
    """A node like /dev/null, of our own, where this user may make one."""
    node = tmp_path / "null"
    try:
        os.mknod(node, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        node.open("wb").close()
    except OSError as error:
        pytest.skip(f"no device node can be made here: {error}")
    with atomic_write(node) as file:
        file.write(b"away")
    assert stat.S_ISCHR(node.stat().st_mode)
    assert list(tmp_path.iterdir()) == [node]


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_may_be_a_file(tmp_path: Path, name: str) -> None:
    """What the process prints before and after goes to the same file, in order."""
    code = (
        "from accel_logreg.files.atomic import atomic_write\nprint('one', flush=True)\n"
        f"with atomic_write({name!r}) as file: file.write(b'two\\n')\nprint('three')"
    )
    with (tmp_path / "out").open("wb") as out:
        subprocess.run([sys.executable, "-c", code], stdout=out, check=True)
    assert (tmp_path / "out").read_text() == "one\ntwo\nthree\n"
