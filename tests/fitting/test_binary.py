"""One fit: which solver goes on where another does not end."""

from __future__ import annotations

import numpy as np
import pytest

from accel_logreg import LogisticRegression
from accel_logreg.fitting import binary
from accel_logreg.solvers.choose import Choice


def test_a_solver_that_runs_away_hands_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """newton-cg was predicted two reads; nearly collinear columns take it hundreds."""
    random = np.random.default_rng(3)
    X = (
        random.standard_normal((400, 150))
        @ np.diag(np.logspace(0, -4, 150))
        @ random.standard_normal((150, 150))
    )
    y = (random.random(400) < 1 / (1 + np.exp(-X[:, 0]))).astype(int)
    predicted = Choice("newton-cg", "as predicted", 1e-3, 2.0, ("newton",))
    monkeypatch.setattr(binary, "choose", lambda *_, **__: predicted)
    model = LogisticRegression(backend="numpy", C=1e6).fit(X, y)
    assert model.solver_ in ("newton", "newton-cg")
    assert model.gap_ <= 1e-8
    alone = LogisticRegression(backend="numpy", C=1e6, solver="newton-cg").fit(X, y)
    assert model.history_["cost"][-1] <= alone.history_["cost"][-1] * (1 + 1e-8)
