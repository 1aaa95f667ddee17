"""Whether two fits learnt the same, to the bit."""

from __future__ import annotations

import numpy as np

from accel_logreg import LogisticRegression


def same_fit(a: LogisticRegression, b: LogisticRegression) -> bool:
    learnt = ("coef_", "intercept_", "n_iter_", "classes_")
    return a.gap_ == b.gap_ and all(np.array_equal(getattr(a, name), getattr(b, name)) for name in learnt)
