"""Whether the numba engine's kernels for a kind of fit are compiled, and whether a fit can do without.

To compile them takes seconds, once for an installation, and most first fits are small: until they are, "auto"
lets NumPy make what it makes sooner, and compiles when NumPy's fits of this process have come to what that
takes. It goes by predicted times, so that the same script chooses the same. A named engine is never replaced.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

COMPILING = 4.0  # seconds, about what the kernels of one kind of fit take to compile
# Seconds of NumPy's fits an entry of X, dense and stored, and a term of a Hessian: about three times what
# problems from 2,000 x 30 to 60,000 x 784 take on two quiet cores, for others are busy.
_ENTRY, _STORED, _TERM = 2e-8, 3e-7, 1e-10
_AT_LEAST = 0.02
_CLASSES, _KINKS, _SPARSE_KINKS = 8.0, 4.0, 10.0  # times as long with more than two classes, with exact zeros
_SMALL = 100_000  # entries up to which other kernels run than beyond
_LOOKS = 256  # labels that tell two classes from more

_WORDS = ("sparse", "float32", "kinks", "classes", "columns", "small")
_known: set[Kind] = set()  # kinds that are compiled, of this installation
_spent = 0.0  # seconds of NumPy's fits in this process that numba would have made


Kind = tuple[bool, ...]  # for each of _WORDS whether it is so


class Work(NamedTuple):
    """A fit that is to be made: its kind, of kernels, and what it takes on NumPy in seconds."""

    kind: Kind
    seconds: float

    @classmethod
    def of(cls, X: Any, y: Any, *, kinks: bool, columns: int = 1) -> Work | None:
        """For X (n, d) on the host, with ``columns`` problems of it; None where X tells no shape."""
        shape: Any = getattr(X, "shape", ())
        if len(shape) != 2:
            return None
        sparse, dtype = hasattr(X, "nnz"), getattr(X, "dtype", None)
        entries = float(X.nnz if sparse else shape[0] * shape[1]) * columns
        many = _more_than_two(y)
        an_entry = _STORED if sparse else _ENTRY + _TERM * min(shape)
        seconds = entries * an_entry * (_CLASSES if many else 1.0)
        seconds *= (_SPARSE_KINKS if sparse else _KINKS) if kinks else 1.0
        narrow = getattr(dtype, "char", "") == "f"  # of NumPy's: another library's may not be compared
        kind = sparse, narrow, kinks, many, columns > 1, entries <= _SMALL
        return cls(kind, seconds + _AT_LEAST)


def _more_than_two(y: Any) -> bool:
    """Whether the first labels are of three classes and more, where y is an array of NumPy's."""
    if type(y) is not np.ndarray or y.ndim != 1 or len(y) == 0:
        return False
    others = y[:_LOOKS][y[:_LOOKS] != y[0]]
    return bool((others != others[0]).any()) if len(others) else False


def compiled(kind: Kind) -> bool:
    """Whether the kernels of this kind of fit are on the disk, or in this process."""
    if kind in _known:
        return True
    folder = _folder()
    if folder is None or not (folder / _name(kind)).exists():
        return False
    _known.add(kind)
    return True


def note(kind: Kind) -> None:
    """They are compiled, for numba has made such a fit."""
    if kind in _known:
        return
    _known.add(kind)
    folder = _folder()
    if folder is not None:
        with suppress(OSError):
            (folder / _name(kind)).touch()


def sooner_on_numpy(work: Work) -> bool:
    """Whether NumPy is to make this fit, whose kernels are not compiled; its time is remembered."""
    global _spent
    if _spent + work.seconds > COMPILING:
        return False
    _spent += work.seconds
    return True


@cache
def _folder() -> Path | None:
    """Where Numba keeps what it compiles, if that is known without it."""
    given = os.environ.get("NUMBA_CACHE_DIR")
    folder = Path(given) if given else Path(__file__).parents[1] / "kernels" / "numba_jit" / "__pycache__"
    return folder if folder.is_dir() and os.access(folder, os.W_OK) else None


@cache
def _stamp() -> str:
    """Of the kernels' sources and of their compiler."""
    digest = hashlib.sha256()
    with suppress(PackageNotFoundError):
        digest.update(f"{version('numba')} {version('llvmlite')}".encode())
    for path in sorted((Path(__file__).parents[1] / "kernels" / "numba_jit").rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _name(kind: Kind) -> str:
    words = (name for name, said in zip(_WORDS, kind, strict=True) if said)
    return "-".join(("compiled", _stamp(), *words))
