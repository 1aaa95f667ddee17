"""The compiled sparse kernels by themselves: chunks, their order, and where arrays lie in memory."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from support.csr_problems import problem, sparse

from accel_logreg.backends.numba_jit.csr import NumbaCsrRows, bounds_of
from accel_logreg.kernels.numba_jit import csr as kernels


def _frozen(array: Any) -> Any:
    array.flags.writeable = False
    return array


def test_chunks_of_rows_add_up(dtype: type[np.floating], rng: np.random.Generator) -> None:
    """However many chunks there are, empty ones among them."""
    X, y, s = problem(rng, 333, 50, 0.1, dtype, True)
    rows = NumbaCsrRows(sparse(X), y, s)
    W, V = rng.standard_normal((2, 51))
    _, gradient = rows.loss_grad(W)
    product = rows.hessian_product(W, V)
    sh = np.empty(333)
    x = rows._data, rows._indices, rows._indptr
    for bounds in ([0, 333], [0, 100, 100, 200, 333], [0, 0, 1, 2, 63, 64, 330, 333, 333]):
        chunks = np.array(bounds)
        out = kernels.loss_grad(*x, rows._y, rows._s, rows.weight_sum, W, chunks, sh)
        np.testing.assert_allclose(out[:-1], gradient, rtol=1e-12, atol=1e-15)
        again = kernels.hessian_product(*x, sh, rows.weight_sum, V, chunks)
        np.testing.assert_allclose(again, product, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(kernels.logits(*x, W, chunks), X @ W[:-1] + W[-1], rtol=1e-5, atol=1e-5)
        sums = kernels.weighted_sums(*x, sh, 50, True, chunks)
        np.testing.assert_allclose(sums, rows.weight_sum * rows.hessian_diagonal(W), rtol=1e-12)


@pytest.mark.parametrize("gap", [0, 1, 8, 64, 1000])
def test_bits_do_not_depend_on_where_arrays_lie(gap: int, rng: np.random.Generator) -> None:
    """Compiled loops take another path where an array that is read ends near one that is written."""
    X, y, s = problem(rng, 1000, 40, 0.2, np.float64, True)
    rows = NumbaCsrRows(sparse(X), y, s)
    W, V = rng.standard_normal((2, 41))
    bounds = np.array([0, 475, 1000])

    def answers(s_at: int, sh_at: int) -> tuple[bytes, bytes]:
        memory = np.empty(4000)
        memory[s_at : s_at + 1000] = s
        sh = memory[sh_at : sh_at + 1000]
        x = rows._data, rows._indices, rows._indptr
        weights = _frozen(memory[s_at : s_at + 1000])
        out = kernels.loss_grad(*x, rows._y, weights, 1.0, W, bounds, sh)
        return out.tobytes(), kernels.hessian_product(*x, sh, 1.0, V, bounds).tobytes()

    assert answers(0, 1000 + gap) == answers(1000 + gap, 0) == answers(0, 3000)


def test_chunks_have_equal_work_not_equal_rows() -> None:
    lengths = np.r_[np.full(1000, 1), np.full(100, 200), np.zeros(500, dtype=int)]
    bounds = bounds_of(np.r_[0, np.cumsum(lengths)].astype(np.int64), 0, 4)
    assert bounds[0] == 0
    assert bounds[-1] == 1600
    work = [(lengths[a:b] + 8).sum() for a, b in pairwise(bounds)]
    assert max(work) < 1.1 * sum(work) / 4


def test_few_columns_are_numbered_in_two_bytes(rng: np.random.Generator) -> None:
    X, y, _ = problem(rng, 20, 3000, 0.05, np.float64, False)
    few, many = sparse(X), sparse(np.c_[X, np.zeros((20, 65_000))])
    assert NumbaCsrRows(few, y, None)._indices.dtype == np.uint16
    assert np.shares_memory(NumbaCsrRows(many, y, None)._indices, many.indices)


_AT_THE_END_OF_MEMORY = """
import ctypes, mmap
import numpy as np
from accel_logreg.interface.arrays import Csr
from accel_logreg.backends.numba_jit.csr import NumbaCsrRows, csr_logits
from accel_logreg.kernels.numba_jit.tuning import CSR_BLOCK_ROWS

def at_the_end(array):
    '''A copy whose last byte is the last that may be read.'''
    pages = -(-array.nbytes // mmap.PAGESIZE)
    memory = mmap.mmap(-1, (pages + 1) * mmap.PAGESIZE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    guard = ctypes.c_void_p(start + pages * mmap.PAGESIZE)
    assert ctypes.CDLL(None).mprotect(guard, mmap.PAGESIZE, 0) == 0
    copy = np.frombuffer(memory, array.dtype, array.size, pages * mmap.PAGESIZE - array.nbytes)
    copy[:] = array
    return copy

rng = np.random.default_rng(0)
for ends_in in (0, 1, 5):  # nonzeros of the last row of the first block
    for left in range(20):  # and of the rows after the block
        lengths = np.r_[rng.integers(0, 12, CSR_BLOCK_ROWS - 1), ends_in, left, 0]
        indices = np.concatenate([rng.choice(24, k, replace=False) for k in lengths]).astype(np.int32)
        indptr = np.r_[0, np.cumsum(lengths)]
        data = at_the_end(rng.standard_normal(indices.size))
        X = Csr(data, at_the_end(indices), indptr, (lengths.size, 24))
        rows = NumbaCsrRows(X, np.ones(lengths.size), None, order=np.arange(25))
        W = np.ones(25)
        rows.loss_grad(W)
        rows.hessian_product(W, W)
        csr_logits(X, W)
print("read to the end")
"""


def test_nothing_is_read_past_the_last_nonzero() -> None:
    """A row's last step of eight reads on into the rows after it: where there are none, it must not."""
    result = subprocess.run(
        [sys.executable, "-c", _AT_THE_END_OF_MEMORY], capture_output=True, text=True, check=False
    )
    assert result.stdout.strip() == "read to the end", (result.returncode, result.stderr)
