"""X's parts for a fit: a sample of the rows, what memory has room for, and the others as they come."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from accel_logreg.backends.parted.questions import Question, Term, answer
from accel_logreg.interface.answers import RowSample
from accel_logreg.interface.arrays import Csr, Float64, Matrix
from accel_logreg.interface.engine import Engine
from accel_logreg.interface.parted_matrix import PartedMatrix, SourceError
from accel_logreg.interface.rows import Rows
from accel_logreg.interface.targets import Targets

# A sample is an eighth of the rows at most, and so many bytes: X alone decides, not the memory that there is,
# so that the answer does not depend on that.
_SAMPLE_SHARE, _SAMPLE_BYTES = 8, 256 << 20
_WORKSPACE = 16 << 20  # samples of the sample, tiles, what Python itself takes meanwhile
_LOOKS = 64  # rows of a part by which it is known again
_VECTORS = 100  # of p numbers at work in a solver


class Store:
    """What is read of X, and how often.

    Reading begins with one pass over all parts, which takes the rows ``picked`` and keeps the first parts.
    """

    def __init__(self, X: PartedMatrix, room: int) -> None:
        """``room``: bytes that kept parts may take."""
        self.X = X
        self.passes = 0
        self.streamed = 0  # bytes that came from where X lies, as arrays
        self.latest: Float64 | None = None  # where the last gradient was asked for
        self.picked: RowSample  # the rows that solvers steer by
        self.sample: Matrix | Csr
        self._kept: list[Matrix | Csr] = []
        self._marks: list[int] = []
        self.room = room  # bytes that are left for it

    @property
    def n_kept(self) -> int:
        """How many parts stay in memory: the first ones."""
        return len(self._kept)

    def parts(self) -> Iterator[tuple[int, Matrix | Csr]]:
        """Every part with its number, in order; each valid until the next is asked for."""
        X = self.X
        X.check_unchanged()
        first = self.passes == 0
        streamed = X.scan(range(self.n_kept, X.n_parts))
        for part in range(X.n_parts):
            if part < self.n_kept:
                yield part, self._kept[part]
                continue
            rows = next(streamed)
            self.streamed += rows.nbytes
            if X.progress is not None:
                X.progress(self.passes + 1, part, rows.nbytes)
            self._check(part, rows, first=first)
            if first and part == self.n_kept:
                self._keep(rows)
            yield part, rows
        for _ in streamed:  # to its end: what spools knows then that it has all
            pass
        X.check_unchanged()
        self.passes += 1

    def terms(
        self, engine: Engine, targets: Targets, shares: Float64, question: Question
    ) -> Iterator[Term | None]:
        """Every part's answer, in order. One read."""
        for part, X in self.parts():
            first, last = self.X.bounds[part : part + 2].tolist()
            yield answer(engine, X, targets.part(slice(first, last)), shares[part], question)

    def logits(self, engine: Engine, W: Float64) -> Float64:
        """z of all rows, (n,) or (n, K). One read."""
        return np.concatenate([engine.logits(X, W) for _, X in self.parts()])

    def logits_of(self, engine: Engine, W: Float64, rows: NDArray[np.intp]) -> Float64:
        """z of these rows, in any order, for W (p, K): (m, K). One read."""
        order, ends = by_part(rows, self.X.bounds)
        z = np.empty((len(rows), W.shape[1]))
        for part, X in self.parts():
            mine = order[ends[part] : ends[part + 1]]
            if len(mine):
                z[mine] = engine.logits(X, W)[rows[mine] - self.X.bounds[part]]
        return z

    def narrowed(self, columns: NDArray[np.intp]) -> Store:
        """Some columns of the same."""
        return NarrowStore(self, columns)

    def gathered(self, picked: NDArray[np.intp]) -> Matrix | Csr:
        """The rows with these numbers (m,), rising, from one pass over all parts."""
        X = self.X
        ends = np.searchsorted(picked, X.bounds)
        chosen: list[Csr] = []
        out: Matrix = np.empty((0 if X.sparse else len(picked), X.n_features), dtype=X.dtype)
        for part, rows in self.parts():
            some = picked[ends[part] : ends[part + 1]] - X.bounds[part]
            if isinstance(rows, Csr):
                chosen.append(rows_of(rows, some))
            elif len(some):
                np.take(rows, some, axis=0, out=out[ends[part] : ends[part + 1]], mode="clip")
        return stacked(chosen) if X.sparse else out

    def _keep(self, rows: Matrix | Csr) -> None:
        size = rows.nbytes
        if size > self.room:
            return
        self.room -= size
        if isinstance(rows, Csr):
            rows = Csr(rows.data.copy(), rows.indices.copy(), rows.indptr.copy(), rows.shape)
        else:
            rows = rows.copy()
        self._kept.append(rows)

    def _check(self, part: int, rows: Matrix | Csr, *, first: bool) -> None:
        expected = int(self.X.bounds[part + 1] - self.X.bounds[part])
        mark = mark_of(rows)
        if first:
            self._marks.append(mark)
        if rows.shape != (expected, self.X.n_features) or self._marks[part] != mark:
            begin, end = self.X.bounds[part : part + 2].tolist()
            raise SourceError(
                f"part {part} of {self.X.where}, rows {begin} to {end - 1}, changed between two reads: a fit "
                "needs the same rows every time. Fit to a copy that nobody writes to"
            )


class NarrowStore(Store):
    """Some columns of what another store has."""

    def __init__(self, of: Store, columns: NDArray[np.intp]) -> None:
        super().__init__(_SomeColumns(of.X, columns, of.sample), 0)
        self._of, self._columns = of, columns
        self.sample = columns_of(of.sample, columns)

    def parts(self) -> Iterator[tuple[int, Matrix | Csr]]:
        for part, rows in self._of.parts():
            yield part, columns_of(rows, self._columns)
        self.passes += 1


class _SomeColumns(PartedMatrix):
    """What is known of some columns before they are read."""

    def __init__(self, X: PartedMatrix, columns: NDArray[np.intp], sample: Matrix | Csr) -> None:
        self.bounds, self.dtype, self.sparse, self.where = X.bounds, X.dtype, X.sparse, X.where
        self.n_features = len(columns)
        self._share = 1.0  # of the entries, told from the sample
        if isinstance(sample, Csr):
            self._share = float(np.isin(sample.indices, columns).mean()) if len(sample.indices) else 0.0
            self.pairs = X.pairs * self._share**2
            self._whole_bytes, self._whole_entries = X.nbytes, X.entries

    @property
    def nbytes(self) -> int:
        return int(self._share * self._whole_bytes) if self.sparse else super().nbytes

    @property
    def entries(self) -> int:
        return int(self._share * self._whole_entries) if self.sparse else super().entries

    def scan(self, wanted: Sequence[int]) -> Iterator[Matrix | Csr]:
        raise NotImplementedError(f"{self.where} is read by NarrowStore")

    def rows(self, engine: Engine, targets: Targets, max_memory: int | None) -> Rows:
        raise NotImplementedError(f"{self.where} is read by NarrowStore")

    def whole(self) -> Matrix | Csr:
        raise NotImplementedError(f"{self.where} is read by NarrowStore")

    def logits(self, engine: Engine, W: Float64, rows: NDArray[np.intp]) -> Float64:
        raise NotImplementedError(f"{self.where} is read by NarrowStore")

    def check_finite(self) -> None:
        raise NotImplementedError(f"{self.where} is read by NarrowStore")


def by_part(rows: NDArray[np.intp], bounds: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The order in which rows rise, and where in it each part's begin and end, (P + 1,)."""
    order = np.argsort(rows, kind="stable")
    return order, np.searchsorted(rows[order], bounds)


def some_columns(X: PartedMatrix, columns: NDArray[np.intp], sample: Matrix | Csr) -> PartedMatrix:
    """What is known of some columns before they are read."""
    return _SomeColumns(X, columns, sample)


def columns_of(X: Matrix | Csr, columns: NDArray[np.intp]) -> Matrix | Csr:
    """A copy of these columns, in their order."""
    if not isinstance(X, Csr):
        narrow: Any = X[:, columns]
        contiguous: Matrix = np.ascontiguousarray(narrow)
        return contiguous
    some: Any = csr_array((X.data, X.indices, X.indptr), shape=X.shape)[:, columns]
    some.sort_indices()
    return Csr(some.data, some.indices, some.indptr, some.shape)


def sample_size(X: PartedMatrix) -> int:
    """Rows of the sample that solvers steer by: what X is alone decides."""
    n = X.shape[0]
    return max(1, min(n // _SAMPLE_SHARE, _SAMPLE_BYTES * n // max(1, X.nbytes)))


def memory_needed(X: PartedMatrix, of_labels: int, columns: int) -> dict[str, int]:
    """Bytes that a fit of so many columns of W takes beside kept parts, by what they are for."""
    n, p, m = X.shape[0], X.n_features + 1, sample_size(X)
    largest = int(np.diff(X.bounds).max())
    return {
        "labels and weights": of_labels,
        f"a sample of {m} rows": m * X.nbytes // n + 9 * m * columns,
        "parts on their way": X.waiting_bytes + (16 * columns * largest if columns > 1 else 0),
        "matrices and vectors of the unknowns": 8 * p * columns * (3 * p + _VECTORS) + _WORKSPACE,
    }


def mark_of(rows: Matrix | Csr) -> int:
    """A checksum of some rows."""
    n = rows.shape[0]
    some = np.linspace(0, n - 1, min(n, _LOOKS)).astype(np.intp)
    if not isinstance(rows, Csr):
        return zlib.crc32(np.ascontiguousarray(rows[some]).tobytes())
    mark = zlib.crc32(rows.indptr.tobytes())
    for i in some:
        at = slice(int(rows.indptr[i]), int(rows.indptr[i + 1]))
        mark = zlib.crc32(rows.indices[at].tobytes() + rows.data[at].tobytes(), mark)
    return mark


def rows_of(X: Csr, some: NDArray[np.intp]) -> Csr:
    """These rows of X, a copy."""
    lengths = np.diff(X.indptr)[some]
    indptr = np.zeros(len(some) + 1, dtype=np.int64)
    np.cumsum(lengths, out=indptr[1:])
    at = np.arange(indptr[-1]) + np.repeat(X.indptr[some] - indptr[:-1], lengths)
    return Csr(X.data[at], X.indices[at], indptr, (len(some), X.shape[1]))


def stacked(parts: list[Csr]) -> Csr:
    """One below the other."""
    ends = np.cumsum([0, *(len(part.data) for part in parts)])
    indptr = np.concatenate(
        [np.zeros(1, np.int64), *(part.indptr[1:] + end for part, end in zip(parts, ends, strict=False))]
    )
    shape = sum(part.shape[0] for part in parts), parts[0].shape[1]
    indices: NDArray[Any] = np.concatenate([part.indices for part in parts])
    index: Any = np.int64 if indices.dtype == np.int64 or indptr[-1] > np.iinfo(np.int32).max else np.int32
    data: Any = np.concatenate([part.data for part in parts])
    return Csr(data, indices.astype(index), indptr.astype(index), shape)


def shares_of(targets: Targets, bounds: NDArray[np.int64]) -> Float64:
    """Each part's share of the weight, (P,), or (P, K) of K columns."""
    sums = [targets.part(slice(a, b)).weight_sum for a, b in pairwise(bounds.tolist())]
    return np.asarray(np.array(sums) / targets.weight_sum)


def sorted_sample(picked: RowSample) -> RowSample:
    """The same rows in rising order."""
    order = np.argsort(picked.rows, kind="stable")
    return RowSample(picked.rows[order], picked.factors[order])
