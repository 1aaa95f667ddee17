"""X that does not lie in one array: in parts of a few megabytes of rows, which are read when asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.interface.arrays import Csr, Matrix


class SourceError(OSError):
    """What X is read from failed, or changed; the message names the part and the remedy."""


class FitInterruptedError(RuntimeError):
    """A fit that was under way ended because X could not be read any more.

    Attributes
    ----------
    W : (p,) float64, or (p, K)
        The weights where the last gradient over all rows was asked for, the intercept last: where a fit with
        ``warm_start`` may go on from.
    """

    def __init__(self, message: str, W: NDArray[np.float64]) -> None:
        super().__init__(message)
        self.W = W

    def __reduce__(self) -> tuple[type[FitInterruptedError], tuple[str, NDArray[np.float64]]]:
        return type(self), (str(self), self.W)


class PartedMatrix(ABC):
    """X (n, d), as parts 0 to P − 1 of neighbouring rows each.

    Parts depend on the data alone: sums over them are added in the order of their numbers, so that the bits
    of an answer depend on nothing else.

    Attributes
    ----------
    bounds : (P + 1,) int64
        Part i has the rows from bounds[i] to bounds[i + 1].
    n_features : int
    dtype : numpy.dtype
        float32 or float64, of the parts as they are handed out.
    sparse : bool
    names : (d,) of str, or None
        The columns', where what is read names them.
    where : str
        What is read, for messages.
    pairs : float
        Σ of the squares of sparse rows' lengths; 0 where X is dense.
    """

    bounds: NDArray[np.int64]
    n_features: int
    dtype: np.dtype[Any]
    sparse = False
    names: NDArray[Any] | None = None
    where: str
    pairs = 0.0
    progress: Callable[[int, int, int], None] | None = None  # told pass, part and bytes of each that was read
    seed = 0  # of the sample that solvers steer by

    @property
    def n_parts(self) -> int:
        """P."""
        return len(self.bounds) - 1

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d)."""
        return int(self.bounds[-1]), self.n_features

    def part_bytes(self, part: int) -> int:
        """Bytes of a part as an array."""
        rows = int(self.bounds[part + 1] - self.bounds[part])
        return rows * self.n_features * self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all parts."""
        return sum(self.part_bytes(part) for part in range(self.n_parts))

    @property
    def entries(self) -> int:
        """Numbers that X stores."""
        return self.shape[0] * self.n_features

    @property
    def waiting_bytes(self) -> int:
        """Bytes of the parts that are in memory at once while ``scan`` goes through them."""
        return 2 * max(self.part_bytes(part) for part in range(self.n_parts))

    @abstractmethod
    def scan(self, wanted: Sequence[int]) -> Iterator[Matrix | Csr]:
        """X of these parts, whose numbers rise: each is valid until the next is asked for.

        Raises
        ------
        SourceError
            A part cannot be read, or is not what it was.
        """

    @abstractmethod
    def rows(self, engine: Any, targets: Any, max_memory: int | None) -> Any:
        """X as Rows of an Engine, for Targets: what ``Engine.place`` answers."""

    @abstractmethod
    def whole(self) -> Matrix | Csr:
        """All of X in memory, for where that is little. One read."""

    @abstractmethod
    def logits(self, engine: Any, W: NDArray[np.float64], rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """z of these rows, in any order, for W (p, K): (m, K). One read."""

    @abstractmethod
    def check_finite(self) -> None:
        """Raise ValueError that names the first entry that is NaN or infinite, if there is one."""

    def check_unchanged(self) -> None:  # noqa: B027
        """Raise SourceError where what is read is seen to have changed since it was opened."""

    def begin_fit(self) -> None:  # noqa: B027
        """From here on what is kept in memory stays there."""

    def end_fit(self) -> None:  # noqa: B027
        """Give back what a fit kept, unless it was inside of another."""
