"""Scores beside scikit-learn's own functions, and the edges: one class, unknown labels, three classes."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss, roc_auc_score

from accel_logreg.evaluation.coefficients import by_size
from accel_logreg.evaluation.scores import score


@pytest.mark.parametrize("classes", [np.array(["no", "yes"]), np.array([3, 10, 20])], ids=["two", "three"])
def test_beside_scikit_learn(classes: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    K = len(classes)
    P = rng.dirichlet(np.ones(K), 203).astype(np.float32)
    y = classes[(rng.random(203)[:, None] > P.cumsum(axis=1)).sum(axis=1).clip(0, K - 1)]
    found = score("test", y, P, classes)
    predicted = classes[P.argmax(axis=1)]
    Q = P.astype(np.float64)
    Q /= Q.sum(axis=1, keepdims=True)
    assert found.log_loss == pytest.approx(log_loss(y, Q, labels=classes))
    assert found.roc_auc == pytest.approx(roc_auc_score(y, Q[:, 1] if K == 2 else Q, multi_class="ovr"))
    assert found.accuracy == accuracy_score(y, predicted)
    assert found.confusion == confusion_matrix(y, predicted).tolist()
    shares = np.unique(y, return_counts=True)[1] / len(y)
    assert found.base_rate == shares.max()
    assert found.base_log_loss == pytest.approx(log_loss(y, np.tile(shares, (len(y), 1)), labels=classes))
    assert sum(one.rows for one in found.calibration) == 203
    assert len(found.roc) == (1 if K == 2 else K)


def test_calibration() -> None:
    """Exact where what is predicted happens as often; off by the distance where not."""
    p = np.repeat([0.1, 0.9], 50)
    y = np.concatenate([np.arange(50) < 5, np.arange(50) < 45])
    assert score("", y, np.c_[1 - p, p], np.array([False, True])).calibration_error == pytest.approx(0)
    exact = np.tile(np.arange(10) < 5, 10)
    half = np.full(100, 0.5)
    assert score("", exact, np.c_[half, half], np.array([False, True])).calibration_error == pytest.approx(0)
    sure = np.c_[0 * half, 0 * half + 1]
    assert score("", exact, sure, np.array([False, True])).calibration_error == pytest.approx(0.5)


def test_edges() -> None:
    classes = np.array(["a", "b"])
    P = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    one = score("", np.array(["a", "a", "a"]), P, classes)
    assert (one.roc_auc, one.base_rate, one.base_log_loss, one.roc) == (None, 1.0, 0.0, [])
    some = score("", np.array(["a", "?", "b"]), P, classes)
    assert (some.rows, some.unknown, some.confusion) == (2, 1, [[1, 0], [1, 0]])
    with pytest.raises(ValueError, match="none of the labels"):
        score("", np.array([0, 1, 0]), P, classes)


@pytest.mark.parametrize("sparse", [False, True])
def test_coefficients_by_size(sparse: bool) -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((500, 4)) * [1, 100, 0.01, 0] + [0, 0, 0, 7]
    found = by_size(np.array([[1.0, 0.1, 5.0, 9.0]]), sp.csr_array(X) if sparse else X, ["a", "b", "c", "d"])
    assert [one.name for one in found] == ["b", "a", "c", "d"]
    assert found[0].standardized[0] == pytest.approx(0.1 * X[:, 1].std())
    assert found[-1].standardized == [0.0]
