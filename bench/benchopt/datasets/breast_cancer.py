"""The 569 × 30 table that comes with scikit-learn, standardised."""

from __future__ import annotations

from typing import Any

from benchopt import BaseDataset
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import scale


class Dataset(BaseDataset):
    name = "breast_cancer"
    requirements = ["pip::scikit-learn"]  # noqa: RUF012

    def get_data(self) -> dict[str, Any]:
        X, y = load_breast_cancer(return_X_y=True)
        return {"X": scale(X), "y": 2.0 * y - 1.0}
