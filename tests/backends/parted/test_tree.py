"""The sum over parts: right for every number of them, and of one shape."""

from __future__ import annotations

import numpy as np
import pytest

from accel_logreg.backends.parted.tree import TreeSum


def total(terms: list[float]) -> float:
    tree = TreeSum()
    for term in terms:
        tree.add(np.array([term]))
    return float(tree.total()[0])


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 300])
def test_every_term_counts_once(n: int) -> None:
    assert total([float(k) for k in range(n)]) == n * (n - 1) / 2


def test_a_subtree_can_be_added_up_by_somebody_else() -> None:
    random = np.random.default_rng(0)
    terms = random.standard_normal(64).tolist()
    of_sixteen = [total(terms[first : first + 16]) for first in range(0, 64, 16)]
    assert total(terms) == total(of_sixteen)


def test_rounding_grows_slowly() -> None:
    terms = [0.1] * 100_000
    assert abs(total(terms) - 10_000.0) < 1e-10 < abs(sum(terms) - 10_000.0)
