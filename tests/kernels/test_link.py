"""The link of every engine where losses are tiny, and the exponential and logarithm of Numba's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, log_expit
from support.csr_problems import sparse

from accel_logreg.interface.engine import Engine
from accel_logreg.kernels.numba_jit import link, quantised, small

N = 37  # whole groups of rows and a remainder
TINY = [(30.0, 1), (-30.0, 0), (40.0, 1), (-40.0, 0)]  # logit and label


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("z", "label"), TINY)
def test_a_tiny_loss_keeps_its_digits(
    backend: Engine, z: float, label: int, weighted: bool, dtype: Any, rng: np.random.Generator
) -> None:
    """log(1 + e^−|z|), 9.4e-14 or 4.2e-18, beside which max(z, 0) and y z are large."""
    X, y = rng.standard_normal((N, 5)).astype(dtype), np.full(N, label, dtype=np.int8)
    s = rng.random(N) + 0.5 if weighted else None
    W = np.append(np.zeros(5), z)
    exact = math.log1p(math.exp(-abs(z)))
    expected = pytest.approx(exact, rel=1e-12, abs=0.0)
    assert backend.place(X, y, s).loss_grad(W)[0] == expected
    assert backend.place(sparse(X), y, s).loss_grad(W)[0] == expected
    for K in (1, 9):
        columns = backend.place(X, np.repeat(y[:, np.newaxis], K, axis=1), s)
        losses = columns.loss_grad(np.repeat(W[:, np.newaxis], K, axis=1))[0]
        np.testing.assert_allclose(losses, exact, rtol=1e-12)


@pytest.mark.parametrize(("z", "label"), TINY)
def test_a_tiny_loss_of_a_small_fit_and_of_a_copy_in_8_bits(z: float, label: int) -> None:
    expected = pytest.approx(40 * math.log1p(math.exp(-abs(z))), rel=1e-12, abs=0.0)
    y, ones = np.full(40, label, dtype=np.int8), np.ones(40)
    assert small.residuals_and_roots(np.full(40, z), y, np.empty(0), ones.copy(), ones.copy())[0] == expected
    Q, v, partials = np.zeros((40, 64), dtype=np.int8), np.zeros(64, dtype=np.float32), np.empty((1, 66))
    quantised.gradient_part(0, 1, Q, y, ones, v, z, np.empty(40, dtype=np.float32), partials)
    assert partials[0, -1] == expected


def test_own_exponential_and_logarithm() -> None:
    """Numba's exp(u) and log1p(e), each to 2 ulp over the whole range."""
    u = np.concatenate([-np.logspace(-12, np.log10(707.9), 20_000), [0.0, -0.0, -708.0]])
    e = np.array([link.exp_negative(value) for value in u])
    np.testing.assert_allclose(e, np.exp(u), rtol=5e-16)
    v = e / (2.0 + e)
    log1p = 2.0 * v * np.array([link.log1p_over_2v(value) for value in v * v])
    np.testing.assert_allclose(log1p, np.log1p(e), rtol=7e-16)
    assert np.isnan(link.exp_negative(np.nan))
    assert 0.0 < link.exp_negative(-1e300) < 1e-300


@pytest.mark.parametrize("logarithm", [False, True])
def test_probabilities_keep_their_digits(logarithm: bool) -> None:
    z = np.r_[np.linspace(-700, 700, 141), np.linspace(-3, 3, 61), 0.0]
    out = np.empty((len(z), 2))
    for chunk in range(3):
        link.probabilities_part(chunk, 3, z, logarithm, out)
    of = log_expit if logarithm else expit
    np.testing.assert_allclose(out, np.column_stack([of(-z), of(z)]), rtol=3e-15, atol=0.0)
