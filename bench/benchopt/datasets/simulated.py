"""Correlated columns of different scales, labels drawn from the model: tall, wide, and sparse."""

from __future__ import annotations

from typing import Any

import numpy as np
from benchopt import BaseDataset
from scipy import sparse


class Dataset(BaseDataset):
    name = "simulated"
    requirements = ["pip::numpy", "pip::scipy"]  # noqa: RUF012
    # density 1 is a dense array, anything less CSR with that share of entries
    parameters = {  # noqa: RUF012
        "n_samples, n_features, density": [(20_000, 28, 1.0), (200, 1_000, 1.0), (5_000, 300, 0.05)]
    }

    n_samples: int
    n_features: int
    density: float

    def get_data(self) -> dict[str, Any]:
        """X and y of −1 and 1, and as many rows again for testing."""
        rng = np.random.default_rng(20261123)
        rows = 2 * self.n_samples
        if self.density < 1.0:
            X: Any = sparse.random_array(
                (rows, self.n_features),
                density=self.density,
                format="csr",
                rng=rng,
                data_sampler=rng.standard_normal,
            )
        else:
            X = rng.standard_normal((rows, self.n_features))
            X[:, 1:] = 0.5 * X[:, :-1] + np.sqrt(0.75) * X[:, 1:]
            X *= np.linspace(0.5, 2.0, self.n_features)
        z = X @ rng.standard_normal(self.n_features) / np.sqrt(self.density * self.n_features)
        y = np.where(rng.random(rows) < 1.0 / (1.0 + np.exp(-z)), 1.0, -1.0)
        n = self.n_samples
        return {"X": X[:n], "y": y[:n], "X_test": X[n:], "y_test": y[n:]}
