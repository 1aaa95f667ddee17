"""Bad parameters and data: an error that names the value, what is allowed and the remedy."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from accel_logreg import LogisticRegression, check_gradient

X = np.arange(12.0).reshape(6, 2) % 5
Y = np.array([0, 1, 0, 1, 1, 0])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"backend": "torch"},
            r"backend='torch' is unknown; allowed: 'auto', 'python', 'numpy', 'numba', 'cupy'",
        ),
        ({"solver": "irls"}, r"solver='irls' is unknown; allowed: 'auto', 'newton'"),
        ({"C": 0.0}, r"C=0.0 must be above 0; C=float\('inf'\) means no penalty"),
        ({"C": -1.0}, r"C=-1.0 must be above 0"),
        ({"C": float("nan")}, r"C=nan must be above 0"),
        ({"C": "1"}, r"C='1' must be a number above 0"),
        ({"C": True}, r"C=True must be a number above 0"),
        ({"tol": -1e-9}, r"tol=-1e-09 must be above 0.* 0 is what rounding allows"),
        ({"tol": None}, r"tol=None must be a number"),
        ({"learning_rate": 0.0}, r"learning_rate=0.0 must be above 0; 'auto' takes 1/L"),
        ({"learning_rate": "fast"}, r"learning_rate='fast' must be a number above 0; 'auto'"),
        ({"learning_rate": float("inf")}, r"learning_rate=inf must be finite"),
        ({"l1_ratio": 1.5}, r"l1_ratio=1.5 must be from 0, the L2 penalty, to 1"),
        ({"l1_ratio": -0.1}, r"l1_ratio=-0.1 must be from 0, the L2 penalty, to 1, the L1 penalty"),
        ({"l1_ratio": float("nan")}, r"l1_ratio=nan must be from 0"),
        ({"l1_ratio": "1"}, r"l1_ratio='1' must be a number from 0, the L2 penalty, to 1, the L1 penalty"),
        ({"l1_ratio": "0.5"}, r"l1_ratio='0.5' must be a number from 0"),
        ({"l1_ratio": True}, r"l1_ratio=True must be a number from 0"),
        (
            {"l1_ratio": 0.5, "solver": "newton"},
            r"Solver newton supports only 'l2' or None penalties, .*cannot do l1_ratio=0.5; use 'auto'",
        ),
        ({"l1_ratio": 1.0, "solver": "lbfgs"}, r"Solver lbfgs .*cannot do l1_ratio=1.0"),
        ({"penalty_factor": [1, 2], "solver": "newton-cg"}, r"Solver newton-cg .*cannot do penalty_factor"),
        ({"positive": True, "solver": "gradient-descent"}, r"Solver gradient-descent .*cannot do positive"),
        (
            {"solver": "prox-newton"},
            r"solver='prox-newton' is for penalties with kinks.*l1_ratio=0.0 .*'auto'",
        ),
        ({"solver": "prox-newton", "l1_ratio": 1, "C": float("inf")}, r"and C=inf leaves none; use 'auto'"),
        (
            {"penalty_factor": [1, 2, 3]},
            r"penalty_factor has 3 numbers and X 2 features; pass one a feature: 1 is what C says",
        ),
        ({"penalty_factor": [1]}, r"penalty_factor has 1 numbers and X 2 features"),
        (
            {"penalty_factor": [1, -1.5]},
            r"penalty_factor holds -1.5; it must be None or a number a feature",
        ),
        ({"penalty_factor": [1, float("nan")]}, r"penalty_factor holds nan; it .* finite and not negative"),
        ({"penalty_factor": [1, float("inf")]}, r"penalty_factor holds inf"),
        ({"penalty_factor": [[1, 1]]}, r"penalty_factor has shape \(1, 2\); it must be None or a number a"),
        ({"penalty_factor": 2.0}, r"penalty_factor has shape \(\)"),
        ({"penalty_factor": ["a", "b"]}, r"penalty_factor=.* must be None or a number a feature"),
        ({"positive": 1}, r"positive=1 must be True or False"),
        ({"positive": "yes"}, r"positive='yes' must be True or False"),
        (
            {"positive": True, "C": float("inf")},
            r"positive=True needs a penalty, and C=inf has none; use a large C instead",
        ),
        ({"positive": True, "penalty_factor": [1, 0]}, r"and a penalty_factor of 0 has none; use a large C"),
        ({"max_iter": -1}, r"max_iter=-1 must be at least 0"),
        ({"max_iter": 1.5}, r"max_iter=1.5 must be an integer"),
        ({"n_threads": 0}, r"n_threads=0 must be at least 1"),
        ({"n_threads": -1}, r"n_threads=-1 must be at least 1"),
        ({"verbose": -1}, r"verbose=-1 must be at least 0"),
        ({"fit_intercept": "no"}, r"fit_intercept='no' must be True or False"),
        ({"warm_start": 1}, r"warm_start=1 must be True or False"),
        ({"class_weight": "even"}, r"class_weight='even' must be None, 'balanced' or a dict"),
        (
            {"class_weight": {2: 1.0}},
            r"class_weight names \[2\], which y does not have, and not \[0, 1\], which it has",
        ),
        ({"class_weight": {1: -1.0}}, r"must hold finite weights of 0 or above"),
        ({"random_state": "seed"}, r"seed"),
    ],
)
def test_bad_parameters(parameters: dict[str, Any], message: str) -> None:
    model = LogisticRegression(**parameters)
    before = vars(model).copy()
    with pytest.raises((ValueError, TypeError), match=message):
        model.fit(X, Y)
    assert vars(model) == before


class OnGpu:
    __cuda_array_interface__: ClassVar[dict[str, Any]] = {}


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.where(X == 4, np.nan, X), Y, "NaN"),
        (np.where(X == 4, np.inf, X), Y, "infinity"),
        (np.empty((0, 2)), np.empty(0), "0 sample"),
        (np.empty((6, 0)), Y, "0 feature"),
        (X, np.zeros(6), r"y has only one class, 0\.0"),
        (X, np.linspace(0, 1, 6), "Unknown label type: continuous"),
        (X, Y[:5], "inconsistent numbers of samples"),
        (X[0], Y, "Expected 2D array, got 1D array"),
        (X[None], Y, "dim 3"),
        (np.array([["a", "b"]] * 6, dtype=object), Y, "could not convert string to float"),
        (X * 1j, Y, "Complex data not supported"),
        (X, np.array([0, 1, np.nan, 1, 1, 0]), "NaN"),
        (X, np.array(["a", None, "b", "b", "a", "a"], object), r"y\[1\] is None: a missing label"),
        (X, np.array(["a", np.nan, "b", "b", "a", "a"], object), "Input contains NaN"),
        (X, np.array(["a", 1, "b", "b", "a", "a"], object), r"y mixes strings.* y\[0\]='a' and y\[1\]=1"),
        (X, None, "requires y to be passed"),
        (OnGpu(), Y, r"OnGpu on a GPU, and backend='numpy' reads host memory\. Use backend='cupy'"),
    ],
)
def test_bad_data(X: Any, y: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        LogisticRegression(backend="numpy").fit(X, y)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 1, -2, 1, 1, 1], r"sample_weight\[2\]=-2.0 is negative"),
        ([0] * 6, "at least one"),
        ([1, 1], "sample_weight"),
        ([1, 1, 1, 1, 1, np.nan], "NaN"),
        ([[1] * 6], "1D|sample_weight"),
        ([1e308] * 6, r"reach 1e\+308 and add up to more than float64 holds; divide them by their largest"),
    ],
)
def test_bad_weights(weights: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LogisticRegression(backend="numpy").fit(X, Y, sample_weight=weights)


def test_check_gradient_refuses_sparse_rows_with_a_reason() -> None:
    from scipy.sparse import csr_array

    with pytest.raises(TypeError, match=r"X\.toarray\(\)"):
        check_gradient(csr_array(X), Y)


def test_check_gradient_names_unknown_engines() -> None:
    with pytest.raises(ValueError, match="backend='torch' is unknown"):
        check_gradient(X, Y, backend="torch")
