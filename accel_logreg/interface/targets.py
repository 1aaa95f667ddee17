"""Labels and weights of the rows, on the host: of one problem, or of K problems that share X."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.interface.arrays import Float64
from accel_logreg.interface.sampling import Sampler


@dataclass(eq=False)
class Targets:
    """What X's rows are to be told apart by.

    y : (n,), or (n, K) int8, C-contiguous: 0 or 1
    s : None, (n,) or (n, K) float64, C-contiguous: no weights, one for all columns, or each column's own
    """

    y: NDArray[Any]
    s: Float64 | None
    _sampler: Sampler | None = field(default=None, init=False, repr=False)

    @property
    def n_columns(self) -> int:
        """K; 1 where y is (n,)."""
        return 1 if self.y.ndim == 1 else int(self.y.shape[1])

    @property
    def weight_sum(self) -> Any:
        """S, a float; or every column's, (K,) float64."""
        if self.s is None:
            n = float(len(self.y))
            return n if self.y.ndim == 1 else np.full(self.y.shape[1], n)
        if self.y.ndim == 1:
            return float(self.s.sum())
        return np.broadcast_to(self.s.sum(axis=0), self.y.shape[1:]).copy()

    @property
    def nbytes(self) -> int:
        """Bytes of labels and weights."""
        return self.y.nbytes + (0 if self.s is None else self.s.nbytes)

    @property
    def smallest_weight(self) -> float:
        """The smallest positive weight."""
        return 1.0 if self.s is None else float(self.s[self.s > 0].min())

    def label_shares(self) -> Any:
        """The shares of the weight with label 0 and with label 1, (2,), or (2, K): each its own sum, for one
        of 1e-17 is not the difference of the other from 1.
        """
        y = self.y
        if self.s is None:
            ones = np.count_nonzero(y, axis=0)
            return np.array([len(y) - ones, ones]) / len(y)
        s = self.s if self.s.shape == y.shape else self.s[:, np.newaxis]
        return np.array([(s * (y == label)).sum(axis=0) for label in (0, 1)]) / self.weight_sum

    def shares(self) -> Float64:
        """Each row's share of the weight, (n,); for K columns, of all columns' together."""
        n, s = len(self.y), self.s
        if s is None:
            return np.full(n, 1.0 / n)
        s = s if s.ndim == 1 else np.asarray(s.sum(axis=1))
        return np.asarray(s / s.sum())

    def weights_of(self, rows: NDArray[np.intp]) -> Float64:
        """The weights of these rows, (m,); for K columns, all columns' together."""
        if self.s is None:
            return np.ones(len(rows))
        s = self.s[rows]
        return s if s.ndim == 1 else s.sum(axis=1)

    def weights_of_every_column(self) -> Float64:
        """(n, K), a view of what there is where that will do: not to be written to."""
        if self.s is None:
            return np.broadcast_to(1.0, self.y.shape)
        return np.broadcast_to(self.s[:, np.newaxis] if self.s.ndim == 1 else self.s, self.y.shape)

    @property
    def each_its_own(self) -> bool:
        """Whether every column has weights of its own."""
        return self.s is not None and self.s.ndim == 2

    def own_weights(self, columns: slice) -> Float64:
        """Those of these columns, (n, k) C-contiguous, where each has its own."""
        assert self.s is not None
        return np.ascontiguousarray(self.s[:, columns])

    def column(self, k: int) -> Targets:
        """Column k as a problem of its own."""
        s = self.s
        s = s if s is None or s.ndim == 1 else np.ascontiguousarray(s[:, k])
        return Targets(np.ascontiguousarray(self.y[:, k]), s)

    def only(self, columns: NDArray[np.intp]) -> Targets:
        """Those of these columns."""
        s = np.ascontiguousarray(self.s[:, columns]) if self.each_its_own and self.s is not None else self.s
        return Targets(np.ascontiguousarray(self.y[:, columns]), s)

    def part(self, rows: slice) -> Targets:
        """Those of neighbouring rows, views."""
        return Targets(self.y[rows], None if self.s is None else self.s[rows])

    def of_sample(self, rows: NDArray[np.intp], factors: Float64) -> Targets:
        """Those of some rows, whose weights are multiplied by factors (m,)."""
        if self.s is None:
            s = None if (factors == 1.0).all() else factors
        else:
            s = self.s[rows] * (factors if self.s.ndim == 1 else factors[:, np.newaxis])
        return Targets(self.y[rows], s)

    def sampler(self, row_bytes: int) -> Sampler:
        """What draws among these rows, each of so many bytes of X; made once."""
        if self._sampler is None:
            columns = [self] if self.y.ndim == 1 else [self.column(k) for k in range(self.y.shape[1])]
            self._sampler = Sampler([(one.y, one.s) for one in columns], row_bytes)
        return self._sampler


@dataclass(eq=False)
class ClassTargets(Targets):
    """Of one problem of K classes: y (n,) int32 from 0 to K − 1, s None or (n,)."""

    n_classes: int = 0

    def label_shares(self) -> Float64:
        """The share of the weight that each class has, (K,)."""
        return np.asarray(np.bincount(self.y, self.s, minlength=self.n_classes) / self.weight_sum)

    def part(self, rows: slice) -> ClassTargets:
        one = super().part(rows)
        return ClassTargets(one.y, one.s, self.n_classes)

    def of_sample(self, rows: NDArray[np.intp], factors: Float64) -> ClassTargets:
        one = super().of_sample(rows, factors)
        return ClassTargets(one.y, one.s, self.n_classes)

    def sampler(self, row_bytes: int) -> Sampler:
        """What draws among these rows, so that every class is heard."""
        if self._sampler is None:
            self._sampler = Sampler.of_classes(self.y, self.s, self.label_shares(), row_bytes)
        return self._sampler


def column_targets(n: int, Y: Any, weights: Any | None) -> Targets:
    """Labels and weights of K problems for n rows, checked.

    Parameters
    ----------
    Y : (n, K) of 0 and 1, of booleans or numbers, K ≥ 1
    weights : None, (n,) or (n, K), finite and not negative, with a positive one in every column

    Raises
    ------
    ValueError
        One of them is not as said; the message names what is there and what is allowed.
    """
    Y = np.asarray(Y)
    if Y.ndim != 2 or Y.shape[0] != n or Y.shape[1] == 0:
        raise ValueError(
            f"Y has shape {Y.shape}; it must be (n, K) with n = {n} rows as X has and K ≥ 1 columns, one a "
            "problem. A single problem's y is (n,)"
        )
    zero_or_one = (Y == 0) | (Y == 1)
    if not zero_or_one.all():
        i, k = np.argwhere(~zero_or_one)[0]
        raise ValueError(
            f"Y[{i}, {k}] is {Y[i, k]}; labels are 0 and 1. One-vs-rest labels of classes c are "
            "Y = (y[:, np.newaxis] == c)"
        )
    labels = np.ascontiguousarray(Y, dtype=np.int8)
    if weights is None:
        return Targets(labels, None)
    s: Float64 = np.ascontiguousarray(weights, dtype=np.float64)
    if s.shape not in ((n,), Y.shape):
        raise ValueError(
            f"weights have shape {s.shape}; allowed: None, ({n},) for weights that all columns share, or "
            f"{Y.shape} for each column's own"
        )
    wrong = ~(np.isfinite(s) & (s >= 0.0))
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"weights[{', '.join(map(str, place))}] is {s[place]}; weights are finite and not negative, and "
            "0 takes a row out of a column's problem"
        )
    targets = Targets(labels, s)
    sums = targets.weight_sum
    empty = np.flatnonzero(~(sums > 0.0))
    if len(empty):
        some = ", ".join(map(str, empty[:5])) + (", …" if len(empty) > 5 else "")
        raise ValueError(
            f"the weights of column {some} of Y are all 0: a problem without rows has no answer. Leave the "
            "column out, or give one of its rows a positive weight"
        )
    if not np.isfinite(sums).all():
        raise ValueError("the weights of a column add up to infinity; divide them by their largest")
    return targets
