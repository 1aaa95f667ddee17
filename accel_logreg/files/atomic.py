"""Files that are either whole or not there: write beside the target, then rename over it.

What is no regular file, a pipe, a terminal or /dev/null, cannot be replaced: it is written to.
"""

from __future__ import annotations

import os
import secrets
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

# Whatever the shell put there, a regular file too: renaming over it would cut the process off from it.
_STANDARD_OUTPUT = ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


def is_stream(path: str | os.PathLike[str]) -> bool:
    """Whether ``path`` is there and is neither a regular file nor a folder, or is standard output."""
    if os.fspath(path) in _STANDARD_OUTPUT:
        return True
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def is_standard_output(path: str | os.PathLike[str]) -> bool:
    return os.fspath(path) in _STANDARD_OUTPUT


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A binary file to write; it takes the place of ``path`` only when the block ends without an error.

    The bytes go to a temporary file in the same folder (a rename is atomic only within one file system)
    and are on the disk before the rename. Any exception, Ctrl-C included, removes the temporary file and
    leaves what was at ``path`` untouched. A symbolic link is followed, so that it stays a link. The mode
    of a new file is what the umask gives. What is no regular file gets all bytes at the end, or none.

    Raises
    ------
    OSError
        The folder does not exist or cannot be written, or ``path`` is a folder.
    """
    if is_stream(path):
        buffer = BytesIO()  # NPZ and Parquet seek, which a pipe cannot
        yield buffer
        if is_standard_output(path):
            sys.stdout.buffer.write(buffer.getbuffer())
            sys.stdout.buffer.flush()
        else:
            with Path(path).open("wb") as stream:
                stream.write(buffer.getbuffer())
        return
    target = Path(path).resolve()
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder; name a file in it")
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    # open("xb") applies the umask by itself; tempfile would make the file private to its owner
    with temporary.open("xb") as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            temporary.replace(target)
        except BaseException:
            temporary.unlink()
            raise
    _sync_folder(target.parent)


def publish(output: Path, contents: Mapping[str, bytes], last: str) -> None:
    """Write all files of a report, or none: each is whole on the disk before the first gets its name.

    ``last`` is the file that gets its name when all else is there: the page.
    """
    output.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        # Left in reverse order: what is entered first gets its name last.
        for name in sorted(contents, key=lambda name: name != last):
            stack.enter_context(atomic_write(output / name)).write(contents[name])


def _sync_folder(folder: Path) -> None:
    """Put the rename itself on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
