"""The CuPy engine on parts: each goes to the device in its turn, by the same class as on every engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse
from support.parted_problems import Batches, problem, thinned

from accel_logreg import LogisticRegression

pytest_plugins = ["support.cuda_host.fixtures"]


@pytest.mark.parametrize("layout", ["dense", "csr"])
@pytest.mark.usefixtures("played_engine")
def test_a_fit_in_parts(layout: str) -> None:
    X, y, s = problem(240, 4)
    given: Any = sparse.csr_matrix(thinned(X)) if layout == "csr" else X
    settings = {"tol": 1e-10, "max_memory": "100MB"}
    found = LogisticRegression(backend="cupy", **settings).fit(Batches(given, y, s, rows=100))
    expected = LogisticRegression(backend="numpy", tol=1e-12).fit(given, y, s)
    assert found.gap_ <= 1e-10
    np.testing.assert_allclose(found.coef_, expected.coef_, atol=1e-4)
