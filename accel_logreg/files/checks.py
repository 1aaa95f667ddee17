"""What makes a data file unusable: unknown columns, missing and infinite values. Each error says which."""

from __future__ import annotations

import difflib
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32 | np.float64]
DType = type[np.float32] | type[np.float64]

_DROP_ROWS = "Remove those rows"
_RESCALE = "Remove those rows, rescale the column, or keep it in float64 if it is finite there"
# What can be done about missing values where columns are chosen, and where the model has chosen them.
CHOOSING = (
    "Remove those rows, leave the column out with --drop COLUMN, or train with them filled in: "
    "accel-logreg train --impute mean"
)
CHOSEN = (
    "Remove those rows or fill the values in; accel-logreg train --impute mean makes a model that does so"
)


class DataError(ValueError):
    """A data file cannot be used as asked; the message names what is wrong and the remedy."""


@contextmanager
def open_npz(path: Path, wrong: type[ValueError], remedy: str) -> Iterator[Any]:
    """The arrays of an NPZ file, none of Python objects; raises ``wrong`` where it is none or damaged."""
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            raise wrong(f"{path} is not an NPZ file, or it is cut short; {remedy}")
        file.seek(0)
        try:
            with np.load(file, allow_pickle=False) as arrays:
                yield arrays
        except (EOFError, KeyError, zlib.error, zipfile.BadZipFile) as error:
            raise wrong(f"{path} is damaged: {error}; {remedy}") from error


def must_exist(path: Path, wanted: Iterable[str], columns: Sequence[str], *, kind: str = "column") -> None:
    """Every wanted name is there; the error lists what is, and the nearest names."""
    known = set(columns)
    missing = [name for name in wanted if name not in known]
    if missing:
        near = {close for name in missing for close in difflib.get_close_matches(name, columns)}
        hint = f" (did you mean {listed(sorted(near))}?)" if near else ""
        raise DataError(f"{path} has no {kind} {listed(missing)}{hint}; its {kind}s: {listed(columns)}")


def no_missing_features(path: Path, counts: Mapping[str, int], remedy: str = CHOOSING) -> None:
    """No feature has a missing value; ``counts`` is how many each has."""
    _all_zero(path, "missing values", counts, remedy)


def no_missing_labels(path: Path, target: str, count: int) -> None:
    """The target has no missing value."""
    _all_zero(path, "missing labels", {target: count}, _DROP_ROWS)


def finite_features(path: Path, X: Matrix, names: Sequence[str], remedy: str = CHOOSING) -> None:
    """Every value of X is a finite number, in X's own dtype."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(X.sum()):  # no second look, and no temporary as large as X, in the usual case
            return
    columns = dict(zip(names, X.T, strict=True))
    no_missing_features(path, {name: int(np.isnan(v).sum()) for name, v in columns.items()}, remedy)
    infinite = {name: int(np.isinf(v).sum()) for name, v in columns.items()}
    _all_zero(path, f"values that are infinite in {X.dtype}", infinite, _RESCALE)


def finite_labels(path: Path, target: str, y: NDArray[Any]) -> None:
    """Floating-point labels are finite numbers."""
    if y.dtype.kind == "f":
        no_missing_labels(path, target, int(np.isnan(y).sum()))
        _all_zero(path, "infinite labels", {target: int(np.isinf(y).sum())}, _DROP_ROWS)


def listed(names: Sequence[str], limit: int = 20) -> str:
    """'a', 'b', … for a message."""
    return ", ".join(map(repr, names[:limit])) + (f", … ({len(names)} in all)" if len(names) > limit else "")


def _all_zero(path: Path, what: str, counts: Mapping[str, int], remedy: str) -> None:
    found = [f"{name!r}: {count}" for name, count in counts.items() if count]
    if found:
        more = f", … ({len(found)} columns)" if len(found) > 20 else ""
        raise DataError(f"{path} has {what} in {', '.join(found[:20])}{more}. {remedy}.")
