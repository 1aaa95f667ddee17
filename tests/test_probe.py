"""linear_probe: scores are those of separate fits on split data, and nothing of X is copied."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression as ScikitLearn
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from accel_logreg import LogisticRegression, linear_probe
from accel_logreg import probe as module
from accel_logreg.interface.engine import Engine


def embeddings(K: int = 4, n: int = 240, d: int = 5) -> tuple[Any, Any]:
    rng = np.random.default_rng(5)
    X = rng.standard_normal((n, d))
    return X, (X @ rng.standard_normal((d, K)) + rng.gumbel(size=(n, K))).argmax(axis=1)


@pytest.mark.parametrize("K", [2, 4])
@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_matrix])
def test_scores_are_those_of_fits_on_split_rows(
    backend: Engine, K: int, layout: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BLOCK", 40)  # rows are scored in several blocks
    X, y = embeddings(K)
    found = linear_probe(layout(X), y, Cs=[1.0, 0.01], held_out=0.25, random_state=3, backend=backend.name)
    train, test, y_train, y_test = train_test_split(X, y, test_size=0.25, stratify=y, random_state=3)
    assert [point.C for point in found.points] == [0.01, 1.0]
    assert (found.n_train, found.n_held_out) == (180, 60)
    for point in found.points:
        theirs = ScikitLearn(C=point.C, tol=1e-10, max_iter=1000).fit(train, y_train)
        assert point.accuracy == theirs.score(test, y_test)
        assert point.log_loss == pytest.approx(log_loss(y_test, theirs.predict_proba(test)), rel=1e-4)
        ours = LogisticRegression(C=point.C, backend="numpy").fit(train, y_train)
        assert point.cost == pytest.approx(ours.history_["cost"][-1], rel=1e-7)
        assert point.gap <= 1e-8
    whole = LogisticRegression(C=found.best.C, backend="numpy", tol=1e-12).fit(X, y)
    assert found.refitted
    np.testing.assert_allclose(found.model.coef_, whole.coef_, atol=1e-3)
    assert found.model.get_params()["warm_start"] is False


def test_the_best_is_the_most_accurate_and_of_equals_the_strongest_penalty(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    X, y = embeddings()
    accuracies = iter([0.5, 0.7, 0.6, 0.7])
    monkeypatch.setattr(module, "_scores", lambda *_: (next(accuracies), 1.0))
    found = linear_probe(X, y, Cs=[10.0, 0.1, 1.0, 100.0], refit=False, backend="numpy")
    assert found.best is found.points[1]
    assert found.best.C == found.model.C == 1.0
    assert not found.refitted
    held = module._held_out(y, 0.2, 0)
    weights = np.isin(np.arange(len(y)), held, invert=True)
    alone = LogisticRegression(C=1.0, backend="numpy", tol=1e-12).fit(X, y, weights)
    np.testing.assert_allclose(found.model.coef_, alone.coef_, atol=1e-3)


def test_rows_to_test_on_that_were_given() -> None:
    X, y = embeddings()
    names = np.array(["d", "a", "c", "b"])[y]
    found = linear_probe(X[:200], names[:200], Cs=2, X_test=X[200:], y_test=names[200:], backend="numpy")
    assert [point.C for point in found.points] == [1e-4, 1e4]
    assert (found.n_train, found.n_held_out, found.refitted) == (200, 40, False)
    alone = LogisticRegression(C=found.best.C, backend="numpy").fit(X[:200], names[:200])
    assert found.best.accuracy == alone.score(X[200:], names[200:])


def test_every_class_is_trained_on() -> None:
    """A class of one row, and classes of two of which a large share would be held out."""
    y = np.append(np.repeat([0, 1, 2, 3], [30, 30, 2, 2]), 4)
    for share in (0.1, 0.5, 0.9):
        for seed in range(5):
            held = module._held_out(y, share, seed)
            assert 64 not in held
            assert set(np.delete(y, held)) == {0, 1, 2, 3, 4}
            assert (np.diff(held) > 0).all()
    X = np.random.default_rng(0).standard_normal((65, 3))
    assert len(linear_probe(X, y, Cs=[1.0], backend="numpy").model.classes_) == 5


def test_x_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every fit is given X itself; what is scored is taken a block at a time."""
    X, y = embeddings(3)
    fitted, scored = [], []

    class Watched(LogisticRegression):
        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
            fitted.append(X)
            return super().fit(X, y, sample_weight)

        def predict_log_proba(self, X: Any) -> Any:
            scored.append(len(X))
            return super().predict_log_proba(X)

    monkeypatch.setattr(module, "LogisticRegression", Watched)
    monkeypatch.setattr(module, "_BLOCK", 100)
    linear_probe(X, y, Cs=[0.1, 1.0], backend="numpy")
    assert len(fitted) == 3
    assert all(given is X for given in fitted)
    assert scored == [20, 20, 8] * 2


def test_progress_and_the_table() -> None:
    X, y = embeddings(3)
    seen: list[float] = []
    found = linear_probe(
        X, y, Cs=[0.1, 1.0], progress=lambda Cs: (seen.append(C) or C for C in Cs), backend="numpy"
    )
    assert seen == [0.1, 1.0]
    lines = str(found).splitlines()
    assert re.split(r"  +", lines[0]) == list(found.COLUMNS)
    assert len(lines) == 3
    assert [line.split()[0] for line in lines[1:]] == ["0.1", "1"]
    (marked,) = [line for line in lines if " * " in line]
    assert f"{found.best.accuracy:.4f}" in marked


def test_the_picture() -> None:
    figure = pytest.importorskip("matplotlib.figure", reason="matplotlib is not installed").Figure()
    X, y = embeddings(3)
    found = linear_probe(X, y, Cs=[0.1, 1.0], backend="numpy")
    ax = found.plot(figure.add_subplot())
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [(p.C, p.accuracy) for p in found.points])
    loss = ax.figure.axes[1].lines[0].get_xydata()
    np.testing.assert_array_equal(loss, [(p.C, p.log_loss) for p in found.points])
    assert ax.get_xscale() == "log"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Cs": 0}, "Cs=0 must be a count of at least 1"),
        ({"Cs": []}, r"Cs=\[\] must be a count, or one or more"),
        ({"Cs": ["a"]}, r"Cs=\['a'\] must be"),
        ({"Cs": [1.0, -2.0]}, r"Cs holds -2\.0; each must be finite and above 0"),
        ({"Cs": [np.inf]}, "Cs holds inf"),
        ({"held_out": 0.0}, r"held_out=0\.0 must be a share"),
        ({"held_out": 0.01}, r"held_out=0\.01 of 240 rows is 3, and 237 are left .* at least 4,"),
        ({"X_test": np.zeros((2, 5))}, "X_test and y_test go together"),
        ({"X_test": np.zeros((2, 5)), "y_test": [0]}, r"\(2, 5\) and y_test \(1,\)"),
        ({"X_test": np.zeros((2, 4)), "y_test": [0, 1]}, r"\(2, 4\) and y_test \(2,\)"),
        ({"X_test": np.zeros((2, 5)), "y_test": [0, 7]}, "y_test has the class 7, which y has not"),
        ({"y": np.zeros(3)}, r"y has shape \(3,\); it must be \(240,\)"),
        ({"y": np.zeros(240)}, "only one class"),
        ({"X": np.full((240, 5), np.nan)}, "NaN"),
        ({"tol": -1.0}, r"tol=-1\.0"),
    ],
)
def test_what_is_refused(change: dict[str, Any], message: str) -> None:
    X, y = embeddings()
    with pytest.raises(ValueError, match=message):
        linear_probe(**{"X": X, "y": y, "backend": "numpy"} | change)
