"""Files that are either whole or not there: write beside the target, then rename over it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A binary file to write; it takes the place of ``path`` only when the block ends without an error.

    The bytes go to a temporary file in the same folder (a rename is atomic only within one file system)
    and are on the disk before the rename. Any exception, Ctrl-C included, removes the temporary file and
    leaves what was at ``path`` untouched. A symbolic link is followed, so that it stays a link. The mode
    of a new file is what the umask gives.

    Raises
    ------
    OSError
        The folder does not exist or cannot be written, or ``path`` is a folder.
    """
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
