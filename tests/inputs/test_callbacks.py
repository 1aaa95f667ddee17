"""scikit-learn's callbacks: a fit is one task."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from accel_logreg import LogisticRegression, LogisticRegressionCV

pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from 1.9 on")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 3))
Y = (X[:, 0] + RNG.standard_normal(60) > 0).astype(int)


class Recorder:
    """What a callback is told, in order."""

    max_propagation_depth = None  # handed on by searches and pipelines

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def setup(self, estimator: Any, context: Any) -> None:  # noqa: ARG002
        self.heard.append("setup")

    def on_fit_task_begin(
        self,
        estimator: Any,
        context: Any,  # noqa: ARG002
        *,
        X: Any = None,
        metadata: Any = None,
    ) -> None:
        self.heard.append(("begin", type(estimator).__name__, np.shape(X), metadata and sorted(metadata)))

    def on_fit_task_end(self, estimator: Any, context: Any, *, fitted_estimator: Any = None) -> None:  # noqa: ARG002
        coef = None if fitted_estimator is None else getattr(fitted_estimator, "coef_", None)
        self.heard.append(("end", context.estimator_name, coef))

    def teardown(self, estimator: Any, context: Any) -> None:  # noqa: ARG002
        self.heard.append("teardown")


@pytest.mark.parametrize("kind", [LogisticRegression, LogisticRegressionCV])
def test_a_fit_is_one_task(kind: Any) -> None:
    recorder = Recorder()
    model = kind().set_callbacks(recorder).fit(X, Y, np.ones(60))
    first, begin, end, last = recorder.heard
    assert (first, begin, last) == ("setup", ("begin", kind.__name__, (60, 3), ["sample_weight"]), "teardown")
    np.testing.assert_array_equal(end[2], model.coef_)
    np.testing.assert_array_equal(model.coef_, kind().fit(X, Y, np.ones(60)).coef_)
    assert pickle.loads(pickle.dumps(model.set_callbacks())).n_features_in_ == 3


def test_a_fit_that_fails_is_torn_down() -> None:
    recorder = Recorder()
    model = LogisticRegression().set_callbacks(recorder)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.full((60, 3), np.nan), Y)
    assert (recorder.heard[0], recorder.heard[-1], len(recorder.heard)) == ("setup", "teardown", 3)
    assert not hasattr(model, "coef_")
    assert not hasattr(model, "_callback_fit_ctx")


def test_searches_hand_them_on() -> None:
    recorder = Recorder()
    GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2).set_callbacks(recorder).fit(X, Y)
    fits = [heard for heard in recorder.heard if heard[0] == "begin" and heard[1] == "LogisticRegression"]
    assert len(fits) == 5
    assert recorder.heard.count("setup") == recorder.heard.count("teardown") == 1
