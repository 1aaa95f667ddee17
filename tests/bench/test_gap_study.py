"""The study of claimed gaps, small: its evaluator is right, its faults are seen, and no fit has one."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression as ScikitLearn

from accel_logreg import LogisticRegression
from bench.gap_study.__main__ import judge
from bench.gap_study.draw import FAMILIES, drawn, real
from bench.gap_study.evaluator import Problem

FITS = list(drawn(5, 2 * len(FAMILIES)))


def small() -> Problem:
    random = np.random.default_rng(0)
    X = random.standard_normal((200, 4))
    return Problem(X, (random.random(200) < 1 / (1 + np.exp(-X[:, 0]))).astype(int), None, 2.0)


@pytest.fixture(scope="module")
def two_of_each() -> list[tuple[str, Problem]]:
    return list(drawn(5, 2 * len(FAMILIES)))


def test_the_evaluator_agrees_with_scikit_learn() -> None:
    problem = small()
    theirs = ScikitLearn(C=2.0, tol=1e-12, solver="newton-cholesky").fit(problem.X, problem.y)
    w, b, uncertain = problem.optimum
    np.testing.assert_allclose(w.astype(float), theirs.coef_[0], rtol=1e-8)
    assert abs(float(b) - theirs.intercept_[0]) < 1e-8
    assert uncertain < 1e-16
    assert abs(problem.excess(w, b)) < 1e-18
    as_csr = replace(problem, X=sparse.csr_matrix(problem.X))
    assert as_csr.excess(w, b) == pytest.approx(0.0, abs=1e-17)


def test_the_linear_program_knows_separation() -> None:
    X = np.array([[0.0], [0.0], [1.0]])
    assert Problem(X, np.array([0, 1, 1]), C=math.inf).separates()
    assert not Problem(np.array([[0.0], [0.0], [1.0], [1.0]]), np.array([0, 1, 1, 0]), C=math.inf).separates()
    assert not small().separates()


def test_a_false_claim_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = LogisticRegression.fit

    def boastful(self: LogisticRegression, *data: object) -> LogisticRegression:
        fit(self, *data)
        self.coef_, self.gap_ = self.coef_ * 1.01, 1e-9
        return self

    monkeypatch.setattr(LogisticRegression, "fit", boastful)
    assert judge("", small(), {"backend": "numpy"}, "float64", 1e-8).fault == "silent"
    assert judge("", small(), {"backend": "numpy"}, "float64", 1e-4).fault == "understated"


@pytest.mark.parametrize("k", range(2 * len(FAMILIES)))
def test_every_family(two_of_each: list[tuple[str, Problem]], k: int) -> None:
    """Twice, each time on another engine."""
    name, problem = two_of_each[k]
    engine = "numba" if k < len(FAMILIES) else "numpy"
    verdict = judge(name, problem, {"backend": engine}, "float64", 1e-8)
    assert verdict.fault in ("", "understated"), str(verdict)
    assert verdict.ratio <= 2.0, str(verdict)


def test_real_data_are_there() -> None:
    names = [name for name, _ in real()]
    assert len(names) == len(set(names)) >= 100
