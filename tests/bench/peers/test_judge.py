"""The comparison with peers: its judge, its reference optimum and its problems."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit
from support.peers_samples import KINDS, result_of, small

from bench.judge import answers, optimum, score
from bench.judge.optimum import Optimum
from bench.peers import shapes
from bench.peers.results import Run
from bench.peers.station import Sampling, Station
from bench.problems.problem import load


@KINDS
def test_the_judge_knows_known_values(kind: str) -> None:
    data = small(kind)
    assert score.objective(data, np.zeros(data.d + 1)) == pytest.approx(np.log(2.0), rel=1e-15)
    w, b = np.linspace(-1.0, 1.0, data.d), 0.4
    X = np.asarray(data.X.todense() if data.is_sparse else data.X, dtype=np.float64)
    p = expit(X @ w + b)
    by_hand = -np.mean(np.where(data.y == 1.0, np.log(p), np.log1p(-p))) + 0.5 / data.n * (w @ w)
    W = np.append(w, b)
    assert score.objective(data, W) == pytest.approx(by_hand, rel=1e-14)
    assert np.isnan(score.objective(data, np.append(w, np.inf)))


@KINDS
def test_the_judges_derivatives_are_those_of_its_objective(kind: str) -> None:
    data = small(kind)
    W, step, penalty = np.linspace(-0.5, 0.7, data.d + 1), 1e-6, np.append(np.full(data.d, data.l2), 0.0)
    loss, slopes = score.loss_grad(data, W)
    assert loss + 0.5 * (penalty @ W**2) == pytest.approx(score.objective(data, W), rel=1e-15)
    np.testing.assert_allclose(slopes + penalty * W, score.gradient(data, W), rtol=1e-14, atol=1e-17)
    for direction in np.eye(data.d + 1):
        up, down = W + step * direction, W - step * direction
        slope = (score.objective(data, up) - score.objective(data, down)) / (2.0 * step)
        assert slope == pytest.approx(score.gradient(data, W) @ direction, abs=1e-9)
        curved = (score.gradient(data, up) - score.gradient(data, down)) / (2.0 * step)
        product = score.hessian_product(data, W, direction)
        np.testing.assert_allclose(curved, product + penalty * direction, atol=1e-9)
        if not data.is_sparse:
            np.testing.assert_allclose(score.hessian(data, W) @ direction, product, rtol=1e-11, atol=1e-14)


def test_the_judges_hessian_in_other_coordinates() -> None:
    data, W = small("float32"), np.linspace(-0.5, 0.7, 8)
    centre, scale = np.linspace(-1.0, 2.0, 7), np.linspace(0.5, 3.0, 7)
    moved = np.eye(8)  # (x, 1) → ((x − centre)/scale, 1)
    moved[:7, :7], moved[7, :7] = np.diag(1.0 / scale), -centre / scale
    expected = moved.T @ score.hessian(data, W) @ moved
    np.testing.assert_allclose(score.hessian(data, W, centre, scale), expected, rtol=1e-11, atol=1e-15)


def test_the_judge_reads_blocks_as_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    data, W = small("float32"), np.linspace(-1.0, 1.0, 8)
    whole = score.objective(data, W)
    monkeypatch.setattr(score, "_BLOCK", 70)
    assert len(list(score.blocks(data))) == 30
    assert score.objective(data, W) == pytest.approx(whole, rel=1e-14)


@pytest.mark.parametrize(
    ("kind", "n", "d"), [("float64", 300, 7), ("float32", 300, 7), ("sparse", 300, 7), ("float64", 20, 50)]
)
def test_the_reference_optimum_is_one(kind: str, n: int, d: int) -> None:
    data = small(kind, n, d)
    found = optimum.solve(data)
    assert found.gradient_norm < 1e-9
    assert found.bound < 1e-13
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(solver="lbfgs", tol=1e-10, max_iter=10_000)
    model.fit(data.X.astype(np.float64), data.y)
    theirs = score.objective(data, np.append(model.coef_[0], model.intercept_))
    assert theirs == pytest.approx(found.value, rel=1e-9)
    assert theirs >= found.value * (1.0 - 1e-14)


def test_a_fit_is_judged_by_an_optimum_that_is_known_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    data = small("float32")
    W = optimum.newton(data, np.zeros(8))
    assert abs(answers.suboptimality(data, W)) <= 1e-13
    above = (score.objective(data, W + 1e-3) - answers.best(data).value) / answers.best(data).value
    assert answers.suboptimality(data, W + 1e-3) == above > 1e-9
    monkeypatch.setattr(optimum, "newton", lambda _data, W: W)
    with pytest.raises(ArithmeticError, match="nothing can be judged by it"):
        answers.best(small("float64"))


def test_the_reference_may_start_near_the_end() -> None:
    data = small("float32")
    whole = optimum.solve(data)
    found = optimum.solve(data, np.full(data.d + 1, 0.1), ", from a guess")
    assert found.value == pytest.approx(whole.value, rel=1e-14)
    assert found.gradient_norm < 1e-9
    assert found.how == "our Newton, float64, from a guess"


def test_the_bound_holds_far_from_the_optimum() -> None:
    data = small("float64")
    best = optimum.solve(data)
    far = optimum.judge(data, np.append(np.full(data.d, 0.05), 3.0), "a guess")
    assert 0.0 < (far.value - best.value) / best.value <= far.bound


def test_text_is_sparse_zipf_and_repeatable() -> None:
    data = shapes.sparse_text(4_000, 1_000, 80_000)
    again = shapes.sparse_text(4_000, 1_000, 80_000)
    assert (data.X != again.X).nnz == 0
    np.testing.assert_array_equal(data.y, again.y)
    assert data.X.shape == (4_000, 1_000)
    assert type(data.X).__name__ == "csr_matrix"  # the type that every peer takes
    assert data.X.dtype == np.float64
    assert data.X.has_sorted_indices
    assert data.n_stored == pytest.approx(80_000, rel=0.05)
    assert 0.2 < data.y.mean() < 0.6
    used = np.sort(np.bincount(data.X.indices, minlength=1_000))[::-1]
    assert used[0] > 20 * used[500] > 0
    np.testing.assert_allclose(np.sqrt(data.X.multiply(data.X).sum(axis=1)).A1, 1.0)


def test_shapes_are_what_their_names_say() -> None:
    for name, divisor, X_shape, dtype in [
        ("1e6x28-float32", 1_000, (1_000, 28), "float32"),
        ("1e6x28-uneven-float64", 1_000, (1_000, 28), "float64"),
        ("2e5x300-float64", 100, (2_000, 300), "float64"),
        ("209x12288-float64", 1, (209, 12_288), "float64"),
        ("569x30-float64", 1, (569, 30), "float64"),
        ("1000x20-float64", 1, (1_000, 20), "float64"),
        ("l1-1e5x100", 100, (1_000, 100), "float64"),
        ("l1-path-1e5x100", 100, (1_000, 100), "float64"),
    ]:
        data = shapes.SHAPES[name].build(divisor)
        assert data.X.shape == X_shape
        assert data.X.dtype == dtype
        assert set(np.unique(data.y)) == {0.0, 1.0}
    assert len(shapes.SHAPES) == 21


@KINDS
def test_data_travel_as_they_are(kind: str, tmp_path: Path) -> None:
    data = small(kind)
    data.save(tmp_path)
    found = load(tmp_path)
    assert type(found.X) is type(data.X)
    assert found.X.dtype == data.X.dtype
    assert abs(found.X - data.X).max() == 0.0
    np.testing.assert_array_equal(found.y, data.y)


def test_a_lower_j_than_the_reference_moves_it(tmp_path: Path) -> None:
    data = small("float64")
    result = result_of(data, Optimum(0.9, 1.0, 1.0, "a bad guess"))
    best = optimum.solve(data)
    result.runs = [Run("a", {}, values=[best.value, best.value * 1.001])]
    with Station(result, data, tmp_path, Sampling()) as station:
        station._lowest = (best.value, optimum.newton(data, np.zeros(data.d + 1)))
        station.settle()
    assert result.optimum.how == "the lowest J of all runs"
    assert result.optimum.value == pytest.approx(best.value, rel=1e-14)
    assert result.runs[0].suboptimality == pytest.approx(1e-3)  # the worst round counts
