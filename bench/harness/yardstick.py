"""A plain threaded sum of the same X, in the same rounds: the pace of this memory at this place and hour."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np

from accel_logreg.interface.arrays import Csr
from accel_logreg.measure.clock import Subject
from accel_logreg.measure.machine import usable_cores
from bench.harness.work import Work

NAME = "plain sum of X"
FEWEST_BYTES = 64 << 20  # of X; a smaller one may stay in a cache


def subjects(works: Iterable[Work]) -> list[Subject]:
    """A plain threaded sum of the same X, timed in the same rounds; none for an X that a cache may hold.

    A yardstick and no law: an engine that asks for memory ahead may be a few percent faster.
    """
    matrices = [X for work in works if (X := summed(work)) is not None]
    if not matrices:
        return []
    from accel_logreg.kernels.numba_jit.reductions import array_sum

    flat = matrices[0].reshape(-1)
    flat = flat[: flat.size // 2 * 2].view(np.float64)  # the same bytes, read eight at a time
    add = partial(array_sum, flat, usable_cores())
    add()  # compiles
    return [Subject(NAME, add)]


def summed(work: Work) -> Any:
    """The numbers of X that the yardstick reads; None where it does not apply."""
    X = work.X.data if isinstance(work.X, Csr) else work.X
    if work.engine.name != "numba" or work.cold or not isinstance(X, np.ndarray):
        return None
    return X if X.nbytes >= FEWEST_BYTES and X.flags.c_contiguous else None
