"""Hessians from products of 8 bits: exact in whole numbers, near the loop's, and honest about how near."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.reference import Problem, assert_promise_kept

from accel_logreg import LogisticRegression
from accel_logreg.backends import load_backend
from accel_logreg.backends.numba_jit import tuning
from accel_logreg.backends.numba_jit.dense import NumbaRows
from accel_logreg.interface.answers import LowPrecisionHessian, RowSample
from accel_logreg.interface.arrays import Float64
from accel_logreg.kernels.numba_jit import llvm as kernel_llvm
from accel_logreg.kernels.numba_jit.blocks import int8_products as byte_products
from accel_logreg.kernels.numba_jit.hessian_int8 import width_for
from accel_logreg.problem.coordinates import Coordinates
from accel_logreg.problem.objective import Objective
from accel_logreg.solvers.parts.factor import low_precision_factor

pytestmark = pytest.mark.skipif(
    not byte_products.available(), reason="this processor has no AVX-512 VNNI, and no products of bytes"
)


@pytest.fixture
def any_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "RATES", replace(tuning.RATES, int8_from=1.0))


def in_8_bits(X: Any, y: Any, s: Any, *at: Float64) -> LowPrecisionHessian:
    """The Hessian at (W, centre, scale), which there is."""
    found = load_backend("numba").place(X, y, s).low_precision_hessian(*at)
    assert found is not None
    return found


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(("groups", "p"), [(1, 1), (5, 48), (33, 49), (64, 200)])
def test_products_are_exact(groups: int, p: int, threads: int, rng: np.random.Generator) -> None:
    """The extremes of a byte are among them."""
    width = width_for(p)
    Q = rng.integers(-127, 128, (4 * groups, width)).astype(np.int8)
    Q[:, :3] = np.array([127, -127, 0])
    packed = np.ascontiguousarray(Q.reshape(groups, 4, width // 16, 16).transpose(2, 0, 3, 1))
    steps = (2.0 ** rng.integers(-4, 4, width)).astype(np.float32)
    H = np.ones((width, width), dtype=np.float32)
    for thread in range(threads):
        sums = Q.sum(axis=0, dtype=np.int32)
        byte_products.add_products(packed.view(np.int32)[..., 0], groups, sums, steps, thread, threads, H)
    wide = Q.astype(np.float64)
    expected = 1.0 + (wide.T @ wide) * np.outer(steps, steps).astype(np.float64)
    np.testing.assert_array_equal(np.triu(H), np.triu(expected).astype(np.float32))


def problem(n: int, d: int, rng: np.random.Generator, dtype: Any) -> Any:
    """X of unlike scales and means, y, the columns' means and scales, and weights of sensible logits."""
    centre, scale = np.linspace(-50, 50, d), np.logspace(-3, 3, d)
    X = (rng.standard_normal((n, d)) * scale + centre).astype(dtype)
    y = (rng.random(n) < 0.4).astype(np.int8)
    w = rng.standard_normal(d) / scale / np.sqrt(d)
    return X, y, centre, scale, np.append(w, 0.3 - w @ centre)


def largest_error(X: Any, s: Float64, W: Float64, centre: Float64, scale: Float64) -> Float64:
    """What half a step at most in every entry makes of each sum, for a round of all rows; (p, p)."""
    standard = np.c_[(X.astype(np.float64) - centre) / scale, np.ones(len(X))]
    z = X.astype(np.float64) @ W[:-1] + W[-1]
    e = np.exp(-np.abs(z))
    V = np.abs(standard) * np.sqrt(s * e)[:, np.newaxis] / (1.0 + e)[:, np.newaxis]
    half, total = V.max(axis=0) / 254.0, V.sum(axis=0)
    return np.asarray(
        (np.outer(half, total) + np.outer(total, half) + len(X) * np.outer(half, half)) / s.sum()
    )


@pytest.mark.usefixtures("any_width")
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "d"), [(1, 1), (2, 5), (61, 47), (90, 48), (203, 20)])
def test_within_half_a_step_of_the_loop(
    n: int, d: int, dtype: Any, weighted: bool, rng: np.random.Generator
) -> None:
    X, y, centre, scale, W = problem(n, d, rng, dtype)
    s = rng.random(n) + 0.1 if weighted else None
    rough = in_8_bits(X, y, s, W, centre, scale)
    expected = load_backend("python").place(X, y, s).hessian(W, centre, scale)
    weights = np.ones(n) if s is None else s
    allowed = largest_error(X, weights, W, centre, scale) + 2e-3 * np.abs(expected) * (dtype == np.float32)
    assert (np.abs(rough.matrix - expected) <= allowed + 1e-6 * np.abs(expected)).all()
    assert (rough.matrix == rough.matrix.T).all()
    if dtype == np.float64:
        np.testing.assert_allclose(rough.matrix.diagonal(), expected.diagonal(), rtol=1e-4)


@pytest.mark.usefixtures("any_width")
def test_what_it_says_of_its_noise(rng: np.random.Generator) -> None:
    """A step is a 127th of the largest entry, and a rounding has a variance of step²/12."""
    n, d = 4000, 6
    X = rng.standard_normal((n, d))
    y = (rng.random(n) < 0.5).astype(np.int8)
    zero, centre, scale = np.zeros(d + 1), np.zeros(d), np.ones(d)
    rough = in_8_bits(X, y, None, zero, centre, scale)
    entries = 0.5 * X
    noise = (np.abs(entries).max(axis=0) / 127) ** 2 / 12 / np.square(entries).mean(axis=0)
    assert rough.noise == pytest.approx(noise.max(), rel=1e-3)
    exact = np.c_[entries, np.full(n, 0.5)]
    error = rough.matrix - exact.T @ exact / n
    spread = np.sqrt(2 * noise.max() * 0.25 / n)  # of a sum of n independent roundings
    assert 0.0 < np.abs(error[np.triu_indices(d + 1, 1)]).max() < 6 * spread
    X[0, 2] = 1e4
    assert in_8_bits(X, y, None, zero, centre, scale).noise > 10 * rough.noise


@pytest.mark.usefixtures("any_width")
def test_picked_rows_and_their_factors(rng: np.random.Generator) -> None:
    """Over several rounds, in any order, as over the rows by themselves."""
    n, d = 3001, 37
    X, y, centre, scale, W = problem(n, d, rng, np.float64)
    picked = RowSample(rng.permutation(n)[:2500].astype(np.intp), rng.random(2500) + 0.5)
    rows = load_backend("numba").place(X, y, None)
    some = rows.low_precision_hessian(W, centre, scale, sample=picked)
    X_picked, y_picked = np.ascontiguousarray(X[picked.rows]), y[picked.rows]
    alone = in_8_bits(X_picked, y_picked, picked.factors, W, centre, scale)
    assert some is not None
    np.testing.assert_allclose(some.matrix, alone.matrix, rtol=1e-6)
    assert some.noise == pytest.approx(alone.noise)
    assert rows.reads == pytest.approx(2500 / n)
    again = rows.low_precision_hessian(W, centre, scale, sample=picked)
    assert again is not None
    np.testing.assert_array_equal(some.matrix, again.matrix)  # the same bits again


def test_none_for_few_unknowns_or_an_engine_or_processor_without(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    X, y, centre, scale, W = problem(50, 112, rng, np.float64)
    in_8_bits(X, y, None, W, centre, scale)
    narrow = load_backend("numba").place(np.ascontiguousarray(X[:, :111]), y, None)
    assert narrow.low_precision_hessian(np.zeros(112), centre[:111], scale[:111]) is None
    for engine in ("python", "numpy"):
        assert load_backend(engine).place(X, y, None).low_precision_hessian(W, centre, scale) is None
    features = {"avx512f": True}
    monkeypatch.setattr(kernel_llvm.llvmlite.binding, "get_host_cpu_features", lambda: features)
    assert not byte_products.available()


@pytest.mark.parametrize(
    ("name", "features", "there"),
    [(None, "+avx512f,+avx512vnni", True), (None, "+avx2", False), ("generic", None, False)],
)
def test_a_processor_that_numba_was_told_to_compile_for(
    name: str | None, features: str | None, there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_llvm.numba.config, "CPU_NAME", name)
    monkeypatch.setattr(kernel_llvm.numba.config, "CPU_FEATURES", features)
    assert byte_products.available() == there


@pytest.mark.usefixtures("any_width")
@pytest.mark.parametrize("scale", [1e-45, 1e300])
def test_scales_beyond_float32_make_no_factor(scale: float) -> None:
    scales = np.array([1.0, scale, 1.0])
    X = np.random.default_rng(0).standard_normal((40, 3)) * scales
    rows = load_backend("numba").place(X, np.arange(40) % 2, None)
    assert low_precision_factor(rows.low_precision_hessian(np.zeros(4), np.zeros(3), scales)) is None


@pytest.mark.usefixtures("any_width")
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("l2", [0.3, 1e300])
def test_with_the_penalty(fit_intercept: bool, l2: float, rng: np.random.Generator) -> None:
    X, y, centre, scale, W = problem(500, 7, rng, np.float64)
    if not fit_intercept:
        centre, W = np.zeros(7), np.append(W[:-1], 0.0)
    rows = load_backend("numba").place(X, y, None)
    J = Coordinates(Objective(rows, l2=l2, fit_intercept=fit_intercept), centre, scale)
    U = J.coordinates(W)
    rough = J.low_precision_hessian(U)
    assert rough is not None
    expected = J.hessian(U, precision="float64")
    if l2 > 1e299:
        assert not np.isfinite(rough.matrix.diagonal()).all()  # and so no factor of it
    else:
        roots = np.sqrt(np.outer(expected.diagonal(), expected.diagonal()))
        assert (np.abs(rough.matrix - expected) <= 5e-3 * roots).all()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """The answers to what a fit asks for: Hessians of 8 bits, and others."""
    answers: dict[str, list[Any]] = {"low_precision_hessian": [], "hessian": []}

    def spied(name: str) -> Any:
        ask = getattr(NumbaRows, name)

        def spy(*args: Any, **kwargs: Any) -> Any:
            answers[name].append(ask(*args, **kwargs))
            return answers[name][-1]

        return spy

    for name in answers:
        monkeypatch.setattr(NumbaRows, name, spied(name))
    return answers


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_fit_goes_by_them(dtype: Any, asked: dict[str, list[Any]], rng: np.random.Generator) -> None:
    X = rng.standard_normal((6000, 150)).astype(dtype)
    y = (rng.random(6000) < 1 / (1 + np.exp(-X[:, :3].sum(axis=1)))).astype(float)
    model = LogisticRegression(backend="numba", solver="newton").fit(X, y)
    assert_promise_kept(Problem(X.astype(np.float64), y), model)
    assert asked["low_precision_hessian"]
    assert None not in asked["low_precision_hessian"]
    assert len(asked["hessian"]) <= 2  # the proof


def test_a_fit_to_nearly_collinear_columns_does_not(
    asked: dict[str, list[Any]], rng: np.random.Generator
) -> None:
    """Eigenvalues under the noise: asked once for each set of rows, and then in float32 or float64."""
    X = rng.standard_normal((3000, 150))
    X[:, 75:] = X[:, :75] + 1e-3 * X[:, 75:]
    y = (rng.random(3000) < 1 / (1 + np.exp(-X[:, :3].sum(axis=1)))).astype(float)
    model = LogisticRegression(backend="numba", solver="newton", C=1e6).fit(X, y)
    assert_promise_kept(Problem(X, y, C=1e6), model)
    assert asked["hessian"]
    assert len(asked["low_precision_hessian"]) <= 2
