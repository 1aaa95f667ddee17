"""What all sources have in common: how parts are cut, and that they become an engine's rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from accel_logreg.backends.parted.rows import place_parts, rows_of_store
from accel_logreg.backends.parted.store import Store
from accel_logreg.interface.arrays import Csr, Float64, Matrix
from accel_logreg.interface.engine import Engine
from accel_logreg.interface.parted_matrix import PartedMatrix
from accel_logreg.interface.rows import Rows
from accel_logreg.interface.targets import Targets
from accel_logreg.measure.words import in_bytes
from accel_logreg.sources.memory import default_memory

PART_BYTES = 16 << 20  # of X as an array: read in 10 ms, and little beside any memory


class Source(PartedMatrix):
    """X in parts that are read by position or in turn; y and weights too, where they lie with X."""

    y: NDArray[Any] | None = None
    sample_weight: NDArray[Any] | None = None
    _store: Any = None  # of the last fit, while it lives
    kept_bytes = 0  # of the parts that stayed in memory then

    def rows(self, engine: Engine, targets: Targets, max_memory: int | None) -> Rows:
        if self._store is not None:  # another question of the same fit
            return rows_of_store(engine, self._store, targets)
        bound = default_memory() if max_memory is None else max_memory
        rows, store = place_parts(engine, self, targets, bound)
        self._store = store
        self.kept_bytes = sum(self.part_bytes(part) for part in range(store.n_kept))
        return rows

    def whole(self) -> Matrix | Csr:
        store = Store(self, 0) if self._store is None else self._store
        return store.gathered(np.arange(self.shape[0]))

    def logits(self, engine: Engine, W: Float64, rows: NDArray[np.intp]) -> Float64:
        """z of these rows, in any order, for W (p, K): (m, K). One read."""
        store = Store(self, 0) if self._store is None else self._store
        z: Float64 = store.logits_of(engine, W, rows)
        return z

    @property
    def latest(self) -> Float64 | None:
        """The weights at which a fit asked for its last gradient."""
        found: Float64 | None = None if self._store is None else self._store.latest
        return found

    def __str__(self) -> str:
        """What it is; once it was read, also what stayed in memory, and how much came from where X lies."""
        n, d = self.shape
        what = f"{self.where}, {n} x {d} {self.dtype}, {in_bytes(self.nbytes)} in {self.n_parts} parts"
        if self._passes == 0:
            return what
        kept = in_bytes(self.kept_bytes)
        return f"{what}: {kept} kept in memory, {self._passes} reads, {in_bytes(self._streamed)} streamed"

    _passes = _streamed = 0  # of the fits so far

    def begin_fit(self) -> None:
        self._fits += 1

    def end_fit(self) -> None:
        if self._store is not None:
            self._passes, self._streamed = self._store.passes, self._store.streamed
        self._fits -= 1
        if self._fits == 0:
            self._store = None

    _fits = 0  # that are under way: those inside of one keep what it keeps

    def through(self) -> Iterator[Matrix | Csr]:
        """All parts in order, once; each valid until the next is asked for."""
        for part, X in enumerate(self.scan(range(self.n_parts))):
            if self.progress is not None:
                self.progress(1, part, X.nbytes)
            yield X

    def check_finite(self) -> None:
        """Raise ValueError that names the first entry of X that is NaN or infinite, if there is one."""
        for part, X in enumerate(self.through()):
            found = bad_entry(X)
            if found is not None:
                self.refuse_entry(part, *found)

    def refuse_entry(self, part: int, row: int, column: int, value: float) -> NoReturn:
        """Raise ValueError for an entry that is not finite; ``row`` is counted in the part."""
        raise ValueError(
            f"Input X contains {'NaN' if np.isnan(value) else 'infinity'}: part {part} of {self.where}, "
            f"row {self.bounds[part] + row}, column {self.name_of(column)}. Impute or drop it"
        )

    def name_of(self, column: int) -> str:
        """A column's number, and its name if it has one."""
        return str(column) if self.names is None else f"{column} ({self.names[column]!r})"


def bad_entry(X: Matrix | Csr) -> tuple[int, int, float] | None:
    """Row, column and value of the first entry that is NaN or infinite; None where there is none."""
    values = X.data if isinstance(X, Csr) else X
    wrong = ~np.isfinite(values)
    if not wrong.any():
        return None
    if isinstance(X, Csr):
        at = int(wrong.argmax())
        return int(np.searchsorted(X.indptr, at, "right")) - 1, int(X.indices[at]), float(X.data[at])
    row, column = (int(i) for i in np.argwhere(wrong)[0])
    return row, column, float(X[row, column])


def cut(
    rows: list[int], row_bytes: int, least: int = 1
) -> tuple[list[tuple[int, int, int]], NDArray[np.int64]]:
    """(piece, first row in it, one past its last) of every part, and bounds, for pieces of so many rows.

    Parts are about PART_BYTES and end where a piece ends; else they have a multiple of ``least`` rows.
    """
    step = max(1, PART_BYTES // max(1, row_bytes))
    step = max(least, step // least * least)
    parts = [
        (piece, first, min(count, first + step))
        for piece, count in enumerate(rows)
        for first in range(0, count, step)
    ]
    bounds = np.cumsum([0, *(last - first for _, first, last in parts)], dtype=np.int64)
    return parts, bounds


def computed_dtype(dtypes: list[np.dtype[Any]], where: str) -> np.dtype[Any]:
    """float32 where it holds all values of these dtypes exactly, else float64.

    Raises TypeError for what is no number.
    """
    for dtype in dtypes:
        if dtype.kind not in "biuf" or dtype.itemsize > 8:
            raise TypeError(
                f"{where} has dtype {dtype}; allowed are float32, float64, float16, integers and booleans. "
                "Convert it first"
            )
    exact = all(dtype == np.float32 or dtype.itemsize <= 2 for dtype in dtypes)
    return np.dtype(np.float32 if exact else np.float64)
