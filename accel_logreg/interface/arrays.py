"""Arrays as they cross the interface: their types, compressed sparse rows, and arrays that lie on a GPU.

Arrays on a GPU are recognised by what they say of themselves, and no GPU library is imported. Two protocols
say where an array lies: DLPack (https://dmlc.github.io/dlpack) and the CUDA array interface
(https://numba.readthedocs.io/en/stable/cuda/cuda_array_interface.html).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Matrix = NDArray[np.float32] | NDArray[np.float64]
Labels = NDArray[np.int8] | Float64

_LOOKS = 16  # rows that rule out most columns
_FAR = 1e3  # deviations
_ENTRIES_AT_A_TIME = 1 << 20
_CUDA_DEVICES = (2, 13)  # kDLCUDA and kDLCUDAManaged in dlpack.h


@dataclass(frozen=True)
class Csr:
    """X (n, d) in compressed sparse rows: row i holds data[indptr[i]:indptr[i + 1]] at those indices.

    data : (nnz,) float32 or float64, finite
    indices : (nnz,) int32 or int64, the columns, each at most once a row, in increasing order
    indptr : (n + 1,) of the same dtype as indices
    """

    data: Matrix
    indices: NDArray[np.int32] | NDArray[np.int64]
    indptr: NDArray[np.int32] | NDArray[np.int64]
    shape: tuple[int, int]

    @property
    def dtype(self) -> np.dtype[np.float32] | np.dtype[np.float64]:
        return self.data.dtype

    @property
    def nbytes(self) -> int:
        return self.data.nbytes + self.indices.nbytes + self.indptr.nbytes

    @property
    def pairs(self) -> float:
        """Σ of the squares of the rows' lengths: products of two nonzeros in a Hessian."""
        return float(np.square(np.diff(self.indptr), dtype=np.float64).sum())

    def far_columns(self) -> Float64 | None:
        """By how much columns are to be moved that lie far from zero, (d,), 0 for the others; None where none
        does.

        Far is a mean of more than a thousand deviations, in a column that every row stores: an id or a date.
        There sums of squares lose the deviation, and moving it fills no zero. The numbers are of X's dtype,
        so that differences are exact.
        """
        n = len(self.indptr) - 1
        everywhere: NDArray[Any] | None = None
        for i in np.linspace(0, n - 1, min(n, _LOOKS)).astype(int):
            row = self.indices[self.indptr[i] : self.indptr[i + 1]]
            if everywhere is None:
                everywhere = row
            elif len(row):  # numbers rise along a row
                at = np.minimum(row.searchsorted(everywhere), len(row) - 1)
                everywhere = everywhere[row[at] == everywhere]
            if len(row) == 0 or len(everywhere) == 0:
                return None
        assert everywhere is not None
        shift = np.zeros(self.shape[1])
        for column in everywhere:
            values = self.data[self.indices == column].astype(np.float64)
            if len(values) == n:
                middle = float(self.dtype.type(values.mean()))
                if abs(middle) > _FAR * float(np.sqrt(np.square(values - middle).mean())):
                    shift[column] = middle
        return shift if shift.any() else None

    def shifted(self, shift: Float64) -> Csr:
        """A copy whose stored values are less by ``shift`` (d,)."""
        by: Any = shift.astype(self.dtype)
        return Csr(self.data - by[self.indices], self.indices, self.indptr, self.shape)

    def longest_row(self, s: Float64, centre: Float64, scale: Float64) -> float:
        """max ‖((xᵢ − centre)/scale, 1)‖ of the rows whose weight s (n,), or (0,) for ones, is above 0."""
        zeros, longest = float(np.square(centre / scale).sum()) + 1.0, 0.0
        lengths = np.diff(self.indptr)
        step = max(1, _ENTRIES_AT_A_TIME * len(lengths) // max(1, len(self.data)))
        for first in range(0, len(lengths), step):
            some = np.flatnonzero(lengths[first : first + step]) + first
            if len(some) == 0:
                continue
            part = slice(int(self.indptr[some[0]]), int(self.indptr[some[-1] + 1]))
            x, columns = self.data[part].astype(np.float64), self.indices[part]
            x *= (x - 2.0 * centre[columns]) / np.square(scale[columns])
            squares = np.add.reduceat(x, self.indptr[some] - self.indptr[some[0]])
            with_weight = s[some] > 0.0 if len(s) else True
            longest = max(longest, float(squares.max(where=with_weight, initial=0.0)))
        return float(np.sqrt(zeros + longest))


def on_gpu(X: Any) -> bool:
    """Whether X is an array on a CUDA device: CuPy's, torch's, or any other that says so."""
    if type(X) is np.ndarray:
        return False
    if sparse_on_gpu(X):  # it speaks no protocol
        return True
    # DLPack first: to ask a tensor that requires grad for its CUDA array interface raises.
    device = getattr(X, "__dlpack_device__", None)
    if device is None:
        return hasattr(X, "__cuda_array_interface__")
    try:
        return int(device()[0]) in _CUDA_DEVICES
    except (BufferError, RuntimeError, TypeError, ValueError):  # it cannot be exchanged: no CUDA array
        return False


def sparse_on_gpu(X: Any) -> bool:
    """Whether X is one of CuPy's sparse matrices."""
    return type(X).__module__.startswith("cupyx.scipy.sparse")


def kind_of(X: Any) -> str:
    """The type of X for a message, such as "torch.Tensor"."""
    return f"{type(X).__module__}.{type(X).__name__}"


def shape_of(X: Any) -> tuple[int, ...] | None:
    """The shape of an array on a GPU; None where only its memory would tell."""
    shape = getattr(X, "shape", None)
    if shape is None:
        shape = getattr(X, "__cuda_array_interface__", {}).get("shape")
    return None if shape is None else tuple(map(int, shape))


def to_host(array: Any) -> Any:
    """A NumPy copy of an array on a GPU, made by the array's own library; anything else as it is.

    Raises
    ------
    TypeError
        The array's type has no way to the host that is known here.
    """
    if not on_gpu(array):
        return array
    if hasattr(array, "detach"):  # torch
        host: NDArray[Any] = array.detach().cpu().numpy()
        return host
    for way in ("to_numpy", "copy_to_host", "get"):  # cuDF, Numba, CuPy
        if hasattr(array, way):
            return getattr(array, way)()
    try:
        return np.asarray(array)  # JAX
    except Exception as error:
        raise TypeError(
            f"a {kind_of(array)} on a GPU cannot be copied to the host ({error}). Pass a NumPy array, or "
            "cupy.asarray(array)"
        ) from None
