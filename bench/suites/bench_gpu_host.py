"""How long does a fit take when X is in host memory, and how long does its copy alone?

The copy alone is tried in two ways, and the faster one counts: our own pinned double buffer, and CuPy's
plain copy from ordinary memory.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from accel_logreg.backends.cupy_fused.device.staging import Packer, send_all
from bench.harness.gpu_place import Place
from bench.harness.work import Work
from bench.problems.dense import correlated_on
from bench.problems.problem import Problem

CASES = ("5000000x28-float32", "3000000x50-float32", "1500000x100-float32")  # 0.56 to 0.6 GB
MEMBERS = ("fit", "copy alone, pinned", "copy alone, plain")


@lru_cache(maxsize=1)
def host_problem(case: str) -> Problem:
    """A problem in host memory, made there."""
    shape, dtype = case.split("-")
    n, d = map(int, shape.split("x"))
    return correlated_on(np, n, d, dtype)


def prepare(place: Place, member: str, case: str) -> Work:
    """The work of one of MEMBERS."""
    problem = host_problem(case)
    X, device = problem.X, place.engine._device  # type: ignore[attr-defined]
    group = f"from host memory {problem.shape} {problem.X.dtype}"
    if member == "fit":
        return place.fit(problem, X, group, member)
    some = np.random.default_rng(0).integers(0, len(X), 100)

    def same_rows(there: Any) -> None:
        np.testing.assert_array_equal(device.download(there).reshape(X.shape)[some], X[some])

    packer = Packer()
    info = {"version": member, "problem": problem.name}
    copies = {
        "copy alone, pinned": lambda: send_all(device, X, packer),
        "copy alone, plain": lambda: device.upload(X),
    }
    return Work(copies[member], same_rows, place.engine, X, group, 0.0, info=info)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("member", MEMBERS)
def bench_gpu_host(contest: Any, place: Place, member: str, case: str) -> None:
    contest(lambda member: prepare(place, member, case), member=member)
