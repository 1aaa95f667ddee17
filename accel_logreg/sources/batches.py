"""X, y and weights as an iterable of batches that can be gone through again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from scipy.sparse import issparse

from accel_logreg.interface.arrays import Csr, Matrix
from accel_logreg.interface.parted_matrix import SourceError
from accel_logreg.sources.csr_files import canonical
from accel_logreg.sources.source import Source, computed_dtype


class BatchSource(Source):
    """Batches (X, y) or (X, y, sample_weight): a part a batch.

    They are gone through once to learn y and the sizes, and then for every read, from the beginning.
    """

    def __init__(self, given: Iterable[Any]) -> None:
        """Raises TypeError, ValueError where something is no batch, or batches do not fit together."""
        self.where = f"batches of a {type(given).__name__}"
        self._given = given
        rows, stored, labels, weights = [], [], [], []
        widths: list[int] = []
        dtypes: list[Any] = []
        for number, batch in enumerate(given):
            X, y, s = self._checked(number, batch)
            is_sparse: bool = issparse(X)
            rows.append(int(X.shape[0]))
            widths.append(int(X.shape[1]))
            dtypes.append(np.dtype(X.dtype))
            stored.append(int(X.nnz if is_sparse else X.size))
            labels.append(np.asarray(y).copy())
            if s is not None:
                weights.append(np.array(s, dtype=np.float64))
            self.sparse = is_sparse
            if self.sparse:
                self.pairs += float(np.square(np.diff(X.tocsr().indptr), dtype=np.float64).sum())
            if widths[-1] != widths[0] or dtypes[-1] != dtypes[0]:
                raise ValueError(
                    f"batch {number} has {widths[-1]} columns of {dtypes[-1]}, batch 0 has {widths[0]} of "
                    f"{dtypes[0]}: all batches have the same"
                )
        if not rows:
            raise ValueError(f"{self.where}: there is none")
        if weights and len(weights) != len(rows):
            raise ValueError(
                "some batches have weights and some have none; give all of them weights, or none"
            )
        self.n_features, self._stored = widths[0], stored
        self.dtype = computed_dtype(dtypes[:1], self.where)
        self.bounds = np.cumsum([0, *rows], dtype=np.int64)
        self.y = np.concatenate(labels)
        self.sample_weight = np.concatenate(weights) if weights else None

    def part_bytes(self, part: int) -> int:
        if not self.sparse:
            return super().part_bytes(part)
        rows = int(self.bounds[part + 1] - self.bounds[part])
        return self._stored[part] * (self.dtype.itemsize + 4) + 4 * (rows + 1)

    @property
    def entries(self) -> int:
        return sum(self._stored)

    def scan(self, wanted: Sequence[int]) -> Iterator[Matrix | Csr]:
        chosen, number = iter(wanted), -1
        following = next(chosen, None)
        for number, batch in enumerate(self._given):
            if following is None:
                return
            if number != following:
                continue
            X, _, _ = self._checked(number, batch)
            yield self._plain(X)
            following = next(chosen, None)
        if following is not None:
            raise SourceError(
                f"{self.where}: there were {self.n_parts} the first time and {number + 1} now. A fit goes "
                "through them several times: give an object whose __iter__ starts from the beginning"
            )

    def _plain(self, X: Any) -> Matrix | Csr:
        if issparse(X):
            return canonical(X, self.dtype)
        plain: Matrix = np.ascontiguousarray(X, dtype=self.dtype)
        return plain

    @staticmethod
    def _checked(number: int, batch: Any) -> tuple[Any, Any, Any]:
        if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
            raise TypeError(
                f"batch {number} is a {type(batch).__name__}; X may be an iterable of (X, y) or (X, y, "
                "sample_weight)"
            )
        given, y, s = (*batch, None)[:3]
        X: Any = given if issparse(given) else np.asarray(given)

        if X.ndim != 2 or np.shape(y) != X.shape[:1] or (s is not None and np.shape(s) != X.shape[:1]):
            shapes = ", ".join(str(np.shape(one)) for one in batch)
            raise ValueError(
                f"batch {number} has shapes {shapes}; they are (m, d), (m,) and, with weights, (m,)"
            )
        return X, y, s
