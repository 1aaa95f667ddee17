"""A problem as every benchmark has it: y, and X that is dense, sparse, or on a GPU; and how large it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from accel_logreg.interface.arrays import Csr

SEED = 20261123
C = 1.0

Float64 = NDArray[np.float64]
Matrix = Any  # (n, d): an ndarray in rows of NumPy or of CuPy, or a scipy.sparse.csr_matrix


def is_sparse(X: Matrix) -> bool:
    """scipy.sparse.issparse would tell type checkers what Matrix, for brevity, does not."""
    return bool(sparse.issparse(X))


def to_host(array: Any) -> Any:
    """A NumPy array; the caller has waited for the device then."""
    return array.get() if hasattr(array, "get") else np.asarray(array)


def point(d: int, length: float) -> Float64:
    """Weights (d + 1,) away from zero, with logits of about 1 where a row's squares add up to length²."""
    W: Float64 = np.random.default_rng(SEED + 1).standard_normal(d + 1) / length
    return W


@dataclass(frozen=True, eq=False)
class Problem:
    """X (n, d) float32 or float64; y (n,) float64 of 0.0 to K − 1, on the host wherever X lies.

    l1_ratio : of the penalty, the share that is λ‖w‖₁; the rest is λ/2 ‖w‖²
    Cs : of a path, strongest penalty first, instead of one C; empty for one
    """

    name: str
    X: Matrix
    y: Float64
    C: float = C
    l1_ratio: float = 0.0
    Cs: tuple[float, ...] = ()

    @property
    def n(self) -> int:
        return int(self.X.shape[0])

    @property
    def d(self) -> int:
        return int(self.X.shape[1])

    @cached_property
    def n_classes(self) -> int:
        """K."""
        return int(self.y.max()) + 1

    @property
    def size(self) -> int:
        """Unknowns: d + 1, or as many for each of three and more classes, one class after the other."""
        return (self.d + 1) * (self.n_classes if self.n_classes > 2 else 1)

    @property
    def l1(self) -> float:
        """What ‖w‖₁ costs: λ times ``l1_ratio``, λ = 1/(C n)."""
        return self.l1_ratio / (self.C * self.n)

    @property
    def l2(self) -> float:
        """What ‖w‖²/2 costs: λ times the rest."""
        return (1.0 - self.l1_ratio) / (self.C * self.n)

    def along(self) -> list[Problem]:
        """The problems of a path, one for each C."""
        return [replace(self, C=C, Cs=()) for C in self.Cs]

    @property
    def is_sparse(self) -> bool:
        return is_sparse(self.X)

    @property
    def n_stored(self) -> int:
        """Numbers that are stored: all of them, or the nonzeros."""
        return int(self.X.nnz) if self.is_sparse else self.n * self.d

    @property
    def n_bytes(self) -> int:
        """Bytes of X."""
        return int(self.matrix.nbytes)

    @property
    def shape(self) -> str:
        return f"{self.n}x{self.d}" + (f", {self.n_stored} nonzeros" if self.is_sparse else "")

    @property
    def weights(self) -> Float64:
        """A point (d + 1,) away from zero."""
        return point(self.d, (self.n_stored / self.n) ** 0.5)

    @property
    def matrix(self) -> Any:
        """X as engines take it: dense, or Csr."""
        X = self.X
        return Csr(X.data, X.indices, X.indptr, X.shape) if self.is_sparse else X

    @property
    def xp(self) -> Any:
        """The module whose array X is: NumPy, or CuPy."""
        return np if self.is_sparse else import_module(type(self.X).__module__.partition(".")[0])

    def labels_there(self) -> Any:
        """y where X lies, in X's dtype, for rivals."""
        return self.xp.asarray(self.y.astype(self.X.dtype))

    def save(self, folder: Path) -> None:
        """For ``load`` in another process."""
        np.savez(folder / "y.npz", y=self.y, C=self.C, l1_ratio=self.l1_ratio, Cs=self.Cs)
        if self.is_sparse:
            sparse.save_npz(folder / "X.npz", self.X, compressed=False)
        else:
            np.save(folder / "X.npy", self.X)


def load(folder: Path) -> Problem:
    """Into memory of this process's own: a memory map would be shared, read-only, and not counted."""
    with np.load(folder / "y.npz") as file:
        y, C, l1_ratio = file["y"], float(file["C"]), float(file["l1_ratio"])
        Cs = tuple(map(float, file["Cs"]))
    if (folder / "X.npz").exists():
        X: Matrix = sparse.csr_matrix(sparse.load_npz(folder / "X.npz"))
    else:
        X = np.load(folder / "X.npy")
    return Problem("", X, y, C, l1_ratio, Cs)
