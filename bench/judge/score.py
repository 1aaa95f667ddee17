"""Our own judge of every answer: J(w, b) in float64 on the X that was given, by NumPy and SciPy alone.

J(w, b) = mean(log(1 + e^z) − y z) + λ/2 ‖w‖², z = X w + b, λ = 1/(C n), C = 1; b is not penalised.
W (d + 1,) is w with b last. Nothing of the trainer under test is used here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import expit

Float64 = NDArray[np.float64]
Matrix = Any  # (n, d) ndarray in rows, or scipy.sparse.csr_matrix; float32 or float64

C = 1.0
_BLOCK_NUMBERS = 1 << 20  # 8 MB in float64: a block of X is converted once and stays in the cache


def is_sparse(X: Matrix) -> bool:
    """scipy.sparse.issparse would tell type checkers what Matrix, for brevity, does not."""
    return bool(sparse.issparse(X))


@dataclass(frozen=True)
class Data:
    """One problem: X (n, d) dense or CSR, float32 or float64; y (n,) float64, 0.0 or 1.0."""

    X: Matrix
    y: Float64

    @property
    def n(self) -> int:
        return int(self.X.shape[0])

    @property
    def d(self) -> int:
        return int(self.X.shape[1])

    @property
    def l2(self) -> float:
        """λ = 1/(C n)."""
        return 1.0 / (C * self.n)

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
        arrays = (self.X.data, self.X.indices, self.X.indptr) if self.is_sparse else (self.X,)
        return sum(int(array.nbytes) for array in arrays)

    def save(self, folder: Path) -> None:
        """For ``load`` in another process."""
        np.save(folder / "y.npy", self.y)
        if self.is_sparse:
            sparse.save_npz(folder / "X.npz", self.X, compressed=False)
        else:
            np.save(folder / "X.npy", self.X)


def load(folder: Path) -> Data:
    """Into memory of this process's own: a memory map would be shared, read-only, and not counted."""
    y = np.load(folder / "y.npy")
    if (folder / "X.npz").exists():
        return Data(sparse.csr_matrix(sparse.load_npz(folder / "X.npz")), y)
    return Data(np.load(folder / "X.npy"), y)


def blocks(data: Data, at_least: int = 1) -> Iterator[slice]:
    """Slices of rows, some MB of X each."""
    rows = max(at_least, _BLOCK_NUMBERS // data.d)
    for start in range(0, data.n, rows):
        yield slice(start, start + rows)


def logits(data: Data, W: Float64) -> Float64:
    """z = X w + b, (n,) float64."""
    if data.is_sparse:
        return np.asarray(_float64(data.X) @ W[:-1] + W[-1])
    z = np.empty(data.n)
    for rows in blocks(data):
        z[rows] = _float64(data.X[rows]) @ W[:-1] + W[-1]
    return z


def transposed_product(data: Data, r: Float64) -> Float64:
    """(X, 1)ᵀ r, (d + 1,) float64."""
    product = np.zeros(data.d)
    if data.is_sparse:
        product += _float64(data.X).T @ r
    else:
        for rows in blocks(data):
            product += r[rows] @ _float64(data.X[rows])
    return np.append(product, r.sum())


def cost(data: Data, W: Float64, z: Float64) -> float:
    """J of W and its logits; logaddexp(0, z) is log(1 + e^z) without overflow."""
    return float(np.mean(np.logaddexp(0.0, z) - data.y * z)) + 0.5 * data.l2 * float(W[:-1] @ W[:-1])


def objective(data: Data, W: Float64) -> float:
    """J(w, b) in nats; NaN for weights that are not finite."""
    return cost(data, W, logits(data, W)) if np.isfinite(W).all() else float("nan")


def gradient(data: Data, W: Float64, z: Float64 | None = None) -> Float64:
    """∇J, (d + 1,); ``z`` are the logits of W, where they are known."""
    residual = (expit(logits(data, W) if z is None else z) - data.y) / data.n
    return transposed_product(data, residual) + data.l2 * np.append(W[:-1], 0.0)


def best_intercept(z: Float64, y: Float64) -> float:
    """The b that minimises mean loss(z + b), by Newton's method in one dimension."""
    b = 0.0
    for _ in range(100):
        a = expit(z + b)
        slope, curvature = float(np.mean(a - y)), float(np.mean(a * (1.0 - a)))
        step = float(np.clip(slope / max(curvature, 1e-300), -2.0, 2.0))
        b -= step
        if abs(step) <= 1e-15 * max(1.0, abs(b)):
            break
    return b


def _float64(X: Matrix) -> Matrix:
    return X.astype(np.float64, copy=False)
