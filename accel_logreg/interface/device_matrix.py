"""X that lies on a GPU, as the engine that reads it there: arrays that stay where they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.interface.arrays import Float64, Matrix
from accel_logreg.interface.rows import Rows
from accel_logreg.interface.targets import Targets


class DeviceMatrix(ABC):
    """X (n, d) on a GPU, as ``Engine.adopt`` returns it. It keeps the caller's array alive.

    Attributes
    ----------
    shape : (n, d)
    dtype : numpy.dtype, float32 or float64
    """

    def __init__(self, shape: tuple[int, int], dtype: np.dtype[np.float32] | np.dtype[np.float64]) -> None:
        self.shape = shape
        self.dtype = dtype

    @property
    def nbytes(self) -> int:
        return self.shape[0] * self.shape[1] * self.dtype.itemsize

    @abstractmethod
    def rows(self, targets: Targets) -> Rows:
        """A training set around this X, which is not copied; labels (n,) and weights are."""

    @abstractmethod
    def columns(self, targets: Targets) -> Rows:
        """K problems around this X, which is not copied."""

    @abstractmethod
    def logits(self, W: Float64) -> Float64:
        """z = X W[:d] + W[d]: (n,), on the host."""

    @abstractmethod
    def row_that_is_not_finite(self) -> Matrix | None:
        """The first row that holds a NaN or an infinity, (1, d) on the host; None where there is none."""

    @abstractmethod
    def scores(self, W: Float64, *, one_vs_rest: bool = False) -> Scores:
        """z = X W[:d] + W[d], left on the device; W (p,), or (p, K), whose classes have a softmax or a sigmoid
        each.
        """


class Scores(ABC):
    """z (m,), or (m, K), and what follows from it. Every answer lives where X lives and is of X's kind.

    Attributes
    ----------
    finite : bool
        Whether every z is. Where one is not, X may hold a NaN or an infinity.
    """

    finite: bool

    @abstractmethod
    def decision(self) -> Any:
        """z itself, (m,) or (m, K) float64."""

    @abstractmethod
    def probabilities(self, *, logarithm: bool) -> Any:
        """(1 − a, a) of every row, or a of all classes, or their logarithms: (m, 2) or (m, K) float64."""

    @abstractmethod
    def labels(self, classes: NDArray[Any]) -> Any:
        """``classes[1]`` where z > 0, else ``classes[0]``; of K classes that of the largest z: (m,).

        Booleans and numbers of up to eight bytes. Others, which no device knows, come as a NumPy array.
        """
