"""What X may be beside an array in memory: files, arrays on a disk, data sets, batches."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from accel_logreg.sources.memory import default_memory
from accel_logreg.sources.source import Source

_SPARSE, _DENSE = ".npz", ".npy"
ALLOWED = (
    "paths of .npy, .npz (CSR blocks), .parquet, .feather or .arrow files, a numpy.memmap, a zarr.Array, a "
    "pyarrow.dataset.Dataset, or an iterable of batches (X, y) that can be gone through again"
)


@dataclass(frozen=True)
class Sourced:
    """X as a source, with the labels and weights that belong to it."""

    X: Source
    y: Any
    sample_weight: Any


def is_source(X: Any) -> bool:
    """Whether X is read in parts whatever its size. Nothing is opened."""
    if type(X) is np.ndarray:
        return False
    if isinstance(X, (str, os.PathLike, Source)) or _is_zarr(X) or _is_dataset(X) or is_dask(X):
        return True
    if isinstance(X, (list, tuple)):
        return bool(X) and (all(isinstance(one, (str, os.PathLike)) for one in X) or all(map(_is_batch, X)))
    return isinstance(X, Iterable) and not hasattr(X, "shape") and not hasattr(X, "__array__")


def open_source(
    X: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    max_memory: int | None = None,
    spool: Any = None,
    names: Any = None,
) -> Sourced | None:
    """X as a source, where it is one, or is a memory map that is larger than ``max_memory``; else None.

    y and sample_weight may be arrays, paths of .npy files, or, of tables, columns by name; the others are
    X's, or those with these ``names``.

    Raises
    ------
    TypeError, ValueError
        What is given cannot be read as X, y or weights; the message says what is allowed.
    OSError
        A file cannot be read.
    ImportError
        pyarrow is needed and missing.
    """
    if type(X) is np.ndarray:
        return None
    if isinstance(X, np.memmap):
        from accel_logreg.sources.npy import NpySource, memmap_extent

        if X.nbytes <= (default_memory() if max_memory is None else max_memory):
            return None
        extent = memmap_extent(X)
        if extent is None:
            return None
        source: Source = NpySource([extent], Path(extent.file.name).name)
    elif is_source(X):
        source = _opened(X, y, sample_weight, names)
    else:
        return None
    y, sample_weight = (
        _beside("y", y, source.y),
        _beside("sample_weight", sample_weight, source.sample_weight),
    )
    if spool is not None:
        from accel_logreg.sources.spool import SpooledSource

        source = SpooledSource(source, _folder(spool))
    return Sourced(source, y, sample_weight)


def column_names(X: Any) -> list[str]:
    """The columns of a table, all of them."""
    from accel_logreg.sources.arrow import dataset_of

    paths = _paths(X)
    assert paths is not None
    suffixes = {path.suffix.lower() for path in paths}
    if suffixes & {_DENSE, _SPARSE}:
        raise ValueError(f"{X} has no names of columns, which Parquet and Arrow files have")
    return list(dataset_of(paths).schema.names)


def refuse_source(X: Any, what: str) -> None:
    """Raise TypeError where X is a source, and ``what`` needs an array."""
    if is_source(X):
        raise TypeError(
            f"{what} reads X as an array in memory, and X is a {type(X).__name__}. fit, predict and score of "
            "LogisticRegression, and LogisticRegressionCV, read files, data sets and batches in parts"
        )


def source_of(X: Any, names: Any = None) -> Source | None:
    """X alone, for predictions: of tables the columns with these names, or all. None for a user's batches."""
    if isinstance(X, Source):
        return X
    paths = _paths(X)
    if _is_dataset(X) or (paths is not None and paths[0].suffix.lower() not in (_SPARSE, _DENSE)):
        from accel_logreg.sources.arrow import ArrowSource, dataset_of

        dataset = X if paths is None else dataset_of(paths)
        return ArrowSource(dataset, columns=names)
    return None if paths is None and not _is_zarr(X) else _opened(X)


def _opened(X: Any, y: Any = None, sample_weight: Any = None, used: Any = None) -> Source:
    if isinstance(X, Source):
        return X
    if is_dask(X):
        from accel_logreg.sources.dask_collections import DaskSource

        return DaskSource(X, y, sample_weight)
    if _is_zarr(X):
        from accel_logreg.sources.zarr_array import ZarrSource

        return ZarrSource(X)
    names: tuple[str | None, str | None] = (
        y if isinstance(y, str) else None,
        sample_weight if isinstance(sample_weight, str) else None,
    )
    if _is_dataset(X):
        from accel_logreg.sources.arrow import ArrowSource

        return ArrowSource(X, *names, columns=used)
    paths = _paths(X)
    if paths is not None:
        return _of_files(paths, X if isinstance(X, str) else "", names, used)
    if iter(X) is X:
        raise TypeError(
            f"X is a {type(X).__name__}, which can be gone through once; a fit reads X several times. Pass "
            "an object whose __iter__ starts from the beginning every time"
        )
    if y is not None or sample_weight is not None:
        raise ValueError(
            "y and sample_weight come with the batches, as (X, y) or (X, y, sample_weight): fit(batches)"
        )
    from accel_logreg.sources.batches import BatchSource

    return BatchSource(X)


def _of_files(paths: list[Path], where: str, names: tuple[str | None, str | None], used: Any) -> Source:
    suffixes = {path.suffix.lower() for path in paths}
    where = where or (str(paths[0]) if len(paths) == 1 else f"{len(paths)} files from {paths[0]}")
    if suffixes == {_DENSE}:
        from accel_logreg.sources.npy import NpySource, npy_extent

        return NpySource([npy_extent(path) for path in paths], where)
    if suffixes == {_SPARSE}:
        from accel_logreg.sources.csr_files import CsrFilesSource

        return CsrFilesSource(paths, where)
    from accel_logreg.sources.arrow import SUFFIXES, ArrowSource, dataset_of

    if not (suffixes <= {*SUFFIXES, ""} and len(suffixes) == 1):
        raise ValueError(f"X={where!r} has files ending in {sorted(suffixes)}; X may be {ALLOWED}")
    return ArrowSource(dataset_of(paths), *names, where=where, columns=used)


def _paths(X: Any) -> list[Path] | None:
    """The files that are meant, sorted where a pattern names them; None where X is no path."""
    if isinstance(X, (list, tuple)) and isinstance(X[0], (str, os.PathLike)):
        return [Path(one) for one in X]
    if not isinstance(X, (str, os.PathLike)):
        return None
    text = os.fspath(X)
    found = [Path(text)]
    if not found[0].exists() and glob.has_magic(text):
        found = sorted(Path(one) for one in glob.glob(text, recursive=True))  # noqa: PTH207 -- from any root
    if not found or not found[0].exists():
        raise FileNotFoundError(f"X={text!r}: there is no such file; X may be {ALLOWED}")
    return found


def _beside(what: str, given: Any, in_source: Any) -> Any:
    """y or weights: from the source, from a file of their own, or as they are."""
    if in_source is not None and (given is None or isinstance(given, str) or is_dask(given)):
        return in_source
    if isinstance(given, (str, os.PathLike)):
        path = Path(given)
        if path.suffix.lower() != _DENSE:
            raise ValueError(
                f"{what}={str(given)!r}: beside this X it is an array, or the path of a .npy file (n,); "
                "columns by name are those of Parquet and Arrow files"
            )
        return np.load(path)
    return given[:] if _is_zarr(given) else given


def _folder(spool: Any) -> Path:
    if not isinstance(spool, (str, os.PathLike)) or not Path(spool).is_dir():
        raise ValueError(f"spool={spool!r} is no folder; it must be one with room for X as an array")
    return Path(spool)


def is_dask(X: Any) -> bool:
    """Whether X is a Dask collection, told without Dask."""
    return hasattr(X, "__dask_graph__") and hasattr(X, "to_delayed")


def _is_batch(one: Any) -> bool:
    return isinstance(one, tuple) and len(one) in (2, 3) and len(getattr(one[0], "shape", ())) == 2


def _is_zarr(X: Any) -> bool:
    return type(X).__module__.partition(".")[0] == "zarr" and hasattr(X, "chunks")


def _is_dataset(X: Any) -> bool:
    return type(X).__module__ == "pyarrow._dataset" and hasattr(X, "get_fragments")
