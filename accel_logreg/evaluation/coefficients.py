"""Coefficients by name, the weightiest first: each times the standard deviation of its column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

_ENTRIES = 20_000_000  # of X that deviations are taken of; they serve an order


@dataclass(frozen=True)
class Coefficient:
    """A number for the second of two classes, or one for each of more.

    standardized : what a change of the feature by its standard deviation adds to the logit
    """

    name: str
    values: list[float]
    standardized: list[float]

    @property
    def size(self) -> float:
        return max(map(abs, self.standardized))


def by_size(weights: NDArray[Any], X: Any, names: Sequence[str]) -> list[Coefficient]:
    """Of ``weights`` (1 or K, d), fitted to X (n, d), dense or CSR."""
    rows = max(1, _ENTRIES // X.shape[1])
    sample = X[:: -(-X.shape[0] // rows)]
    # In float64, and with a scale of 0 for a column of one value.
    deviations = np.sqrt(StandardScaler(with_mean=False).fit(sample).var_)
    found = [
        Coefficient(name, values, sizes)
        for name, values, sizes in zip(
            names, weights.T.tolist(), (weights * deviations).T.tolist(), strict=True
        )
    ]
    return sorted(found, key=lambda one: -one.size)
