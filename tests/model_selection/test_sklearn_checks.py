"""scikit-learn's own conformance suite for LogisticRegressionCV, every check of it; nothing excused."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from accel_logreg import LogisticRegressionCV

# Three folds, as scikit-learn has them for its own class: some checks have few rows. From how many values C
# is chosen is nothing that the checks look at.
_CPU = [LogisticRegressionCV(backend=name, cv=3, Cs=2) for name in ("python", "numpy", "numba")]


@parametrize_with_checks(_CPU)
def test_scikit_learn_check(estimator: LogisticRegressionCV, check: Any) -> None:
    check(estimator)


@pytest.mark.gpu
@pytest.mark.usefixtures("gpu")
@parametrize_with_checks([LogisticRegressionCV(backend="cupy", cv=3)])
def test_scikit_learn_check_on_gpu(estimator: LogisticRegressionCV, check: Any) -> None:
    check(estimator)
