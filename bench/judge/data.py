"""One problem as it is handed to every solver, and its way to another process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Float64 = NDArray[np.float64]
Matrix = Any  # (n, d) ndarray in rows, or scipy.sparse.csr_matrix; float32 or float64


def is_sparse(X: Matrix) -> bool:
    """scipy.sparse.issparse would tell type checkers what Matrix, for brevity, does not."""
    return bool(sparse.issparse(X))


@dataclass(frozen=True)
class Data:
    """X (n, d) dense or CSR, float32 or float64; y (n,) float64, 0.0 or 1.0."""

    X: Matrix
    y: Float64

    @property
    def n(self) -> int:
        return int(self.X.shape[0])

    @property
    def d(self) -> int:
        return int(self.X.shape[1])

    @property
    def is_sparse(self) -> bool:
        return is_sparse(self.X)

    @property
    def n_stored(self) -> int:
        """Numbers that are stored: all of them, or the nonzeros."""
        return int(self.X.nnz) if self.is_sparse else int(self.X.size)

    @property
    def n_bytes(self) -> int:
        """Bytes of X."""
        if self.is_sparse:
            return int(self.X.data.nbytes + self.X.indices.nbytes + self.X.indptr.nbytes)
        return int(self.X.nbytes)


def save(data: Data, folder: Path) -> None:
    np.save(folder / "y.npy", data.y)
    if data.is_sparse:
        sparse.save_npz(folder / "X.npz", data.X, compressed=False)
    else:
        np.save(folder / "X.npy", data.X)


def load(folder: Path) -> Data:
    """Into memory of this process's own: a memory map would be shared, read-only, and not counted."""
    y = np.load(folder / "y.npy")
    if (folder / "X.npz").exists():
        return Data(sparse.csr_matrix(sparse.load_npz(folder / "X.npz")), y)
    return Data(np.load(folder / "X.npy"), y)
