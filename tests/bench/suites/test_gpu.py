"""The GPU benchmarks without a GPU: every function on tiny problems, kernels played, CuPy's part by NumPy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.cuda_host.play_engine import PlayedCupyBackend
from support.cuda_host.played_arrays import CupyLike

from accel_logreg.measure.clock import Clock
from accel_logreg.profile.record import Watch
from bench import rivals
from bench.harness import gpu_place, laboratory, measuring
from bench.harness.gpu_place import Place
from bench.harness.work import Outcome, Work
from bench.judge.score import descend
from bench.problems.dense import correlated, correlated_on
from bench.report import gpu_targets
from bench.report.results_file import record
from bench.rivals import RivalUnavailableError, estimators, expressions, way_of
from bench.suites import bench_gpu_descent, bench_gpu_fit, bench_gpu_gradient, bench_gpu_host
from bench.suites.bench_gpu_fit import loosest

pytest_plugins = ["support.cuda_host.fixtures"]

ROOT = Path(__file__).parents[3]


@pytest.fixture
def place(played_engine: PlayedCupyBackend) -> Place:
    gpu_place.problem_at.cache_clear()
    return Place(played_engine, np, CupyLike, Watch, lambda: 1e9, played_engine.release_memory)


def done(work: Work) -> Any:
    """What the suites do with a work: call, check, call again, check again."""
    for _ in range(2):
        facts = work.check(work.call())
    assert work.X.nbytes == work.X.shape[0] * work.X.shape[1] * np.dtype(str(work.X.dtype)).itemsize
    return facts


@pytest.mark.parametrize("rival", bench_gpu_gradient.RIVALS)
def test_gradient(place: Place, rival: str, dtype: Any) -> None:
    work = bench_gpu_gradient.prepare(place, rival, "300x5", np.dtype(dtype).name)
    done(work)
    assert work.reads == (1 if rival == "ours" else 2)
    if rival == "ours":
        X_bytes = 300 * 5 * np.dtype(dtype).itemsize
        assert work.info["percent_of_copy"] == pytest.approx(
            100 * X_bytes / work.info["kernel_seconds"] / 1e9
        )


def test_a_wrong_gradient_is_not_timed(place: Place) -> None:
    work = bench_gpu_gradient.prepare(place, "ours", "300x5", "float64")
    loss, gradient = work.call()
    with pytest.raises(AssertionError):
        work.check((loss, gradient * (1 + 1e-6)))


@pytest.mark.parametrize("rival", ["ours", *rivals.WAYS])
def test_fit(place: Place, rival: str) -> None:
    try:
        work = bench_gpu_fit.prepare(place, rival, "400x3-float64")
    except pytest.skip.Exception as reason:
        assert "fails with" not in str(reason), reason  # noqa: PT017
        raise
    assert done(work)["suboptimality"] <= (1e-8 if rival == "ours" else 1e-6)
    if rival == "ours":
        parts = work.info["seconds_of_parts"]
        assert set(parts) == {"checking", "taking rows", "questions", "solver"}
        assert min(parts.values()) >= 0.0
        wrong: Any = work.call()
        wrong.coef_ = wrong.coef_ + 0.1
    else:
        wrong = work.call() + 0.1
    with pytest.raises(AssertionError):
        work.check(wrong)


@pytest.mark.parametrize("member", bench_gpu_host.MEMBERS)
def test_fit_from_host_memory(place: Place, member: str) -> None:
    work = bench_gpu_host.prepare(place, member, "400x3-float32")
    done(work)


@pytest.mark.parametrize("rival", bench_gpu_descent.STEPS)
def test_descent(place: Place, rival: str, dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    small = correlated(24, 6, np.dtype(dtype).name)
    monkeypatch.setattr(bench_gpu_descent, "pictures", lambda _rows, _dtype: small)
    bench_gpu_descent.expected.cache_clear()
    work = bench_gpu_descent.prepare(place, rival, np.dtype(dtype).name, steps=4, rows=24)
    done(work)
    assert work.engine.name == ("python" if rival == "python loop" else "cupy")
    bench_gpu_descent.expected.cache_clear()


def test_the_pictures_are_the_demos_where_they_are_to_be_had() -> None:
    problem = bench_gpu_descent.pictures(209, "float32")
    assert problem.X.shape == (209, 12_288)
    assert problem.name.startswith("crops" if find_spec("skimage") else "pixels")


# ---- problems ----------------------------------------------------------------------------------------------


def test_problems_are_seeded_and_do_not_depend_on_blocks_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    first, again = correlated_on(np, 500, 4, "float32"), correlated_on(np, 500, 4, "float32")
    np.testing.assert_array_equal(first.X, again.X)
    np.testing.assert_array_equal(first.y, again.y)
    assert first.X.dtype == np.float32
    assert 0.2 < first.y.mean() < 0.8
    monkeypatch.setattr("bench.problems.dense.BLOCK_ENTRIES", 400)
    blocks = correlated_on(np, 50_000, 4, "float64")
    correlation = np.corrcoef(blocks.X, rowvar=False)
    np.testing.assert_allclose(np.diag(correlation, 1), 0.5, atol=0.1)
    np.testing.assert_allclose(blocks.X.std(axis=0), np.linspace(0.5, 2.0, 4), rtol=0.05)


# ---- rivals ------------------------------------------------------------------------------------------------


def test_expressions_descend_as_the_plain_evaluator_does() -> None:
    problem = correlated(60, 5, "float64")
    W, costs = expressions.descend(np, problem.X, problem.y, 0.1, 7)
    true_W, true_costs = descend(problem, 0.1, 7)
    np.testing.assert_allclose(W, true_W, rtol=1e-12)
    np.testing.assert_allclose(costs, true_costs, rtol=1e-13)


def test_the_loosest_tolerance_that_is_near_enough_is_taken() -> None:
    problem = correlated_on(np, 300, 3, "float64")
    fit = way_of("CuPy expressions, Newton", np)[0](problem.X, problem.y, problem.l2)
    tol, reached = loosest(fit, (10.0, 1e-3, 1e-8), problem)
    assert tol == 1e-3
    assert reached <= 1e-6
    with pytest.raises(RivalUnavailableError, match=r"comes within .* at best.*1e-06 is asked for"):
        loosest(lambda _tol: np.zeros(4), (1.0, 0.1), problem)


def test_a_rival_that_is_not_here_says_why() -> None:
    with pytest.raises(RivalUnavailableError, match="cuML needs a GPU"):
        way_of("cuML, qn", np)
    if not find_spec("cuml"):
        with pytest.raises(RivalUnavailableError, match="cuML is not installed"):
            estimators.load("cuML, qn", PlayedCupyBackend)
    if not find_spec("torch"):
        with pytest.raises(RivalUnavailableError, match="PyTorch is not installed"):
            way_of("PyTorch, Newton", np)
    with pytest.raises(KeyError):
        way_of("abacus", np)


def test_a_rival_that_fails_is_left_out_with_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_X: Any, _y: Any, _l2: float) -> Any:
        raise RuntimeError("CUDA error: out of memory\nand a long story")

    monkeypatch.setattr(expressions, "load", lambda _name, _xp: broken)
    way, _ = way_of("CuPy expressions, Newton", np)
    with pytest.raises(RivalUnavailableError, match=r"fails with RuntimeError: CUDA error: out of memory$"):
        way(np.ones((2, 2)), np.ones(2), 0.5)


def test_a_rival_that_is_wrong_does_not_end_the_run(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expressions, "loss_grad", lambda _xp, X, _y, _W: (0.5, np.zeros(X.shape[1] + 1)))
    with pytest.raises(pytest.skip.Exception, match="CuPy expressions: fails with AssertionError: Not equal"):
        bench_gpu_gradient.prepare(place, "CuPy expressions", "300x5", "float64")


def test_cuml_is_asked_for_the_same_objective() -> None:
    """By a stand-in that has the parameters of its estimator."""
    asked: dict[str, Any] = {}

    class Estimator:
        def __init__(
            self, *, penalty: str, tol: float, C: float, max_iter: int, penalty_normalized: bool = False
        ) -> None:
            asked.update(penalty=penalty, tol=tol, C=C, max_iter=max_iter, normalised=penalty_normalized)

        def fit(self, X: Any, _y: Any) -> Estimator:
            self.coef_, self.intercept_ = np.ones((1, X.shape[1])), np.array([2.0])
            return self

    X = np.ones((50, 3))
    W = estimators.qn(Estimator, X, np.ones(50), 1 / 50)(1e-5)
    np.testing.assert_array_equal(W, [1.0, 1.0, 1.0, 2.0])
    assert asked.pop("C") == pytest.approx(1.0)
    assert asked == {"penalty": "l2", "tol": 1e-5, "max_iter": 10_000, "normalised": True}


def test_scikit_learn_dispatches_where_scipy_is_told_to() -> None:
    """SciPy reads its setting when it is imported: a process of its own."""
    code = (
        "import numpy as np; from bench.problems.dense import correlated_on; "
        "from bench.judge.answers import suboptimality; from bench.rivals import way_of; "
        "p = correlated_on(np, 300, 3, 'float64'); "
        "way, tolerances = way_of('scikit-learn, array API, lbfgs', np); "
        "print(suboptimality(p, way(p.X, p.y, p.l2)(tolerances[-1])))"
    )
    environment = {**os.environ, "SCIPY_ARRAY_API": "1"}
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert float(result.stdout) <= 1e-8


@pytest.mark.parametrize("name", [name for name in rivals.WAYS if "PyTorch" in name])
def test_torch_fits_and_gives_its_setting_back(name: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed", exc_type=ImportError)
    before = torch.get_float32_matmul_precision()
    problem = correlated_on(np, 300, 3, "float64")
    way, tolerances = way_of(name, np)
    _, reached = loosest(way(problem.X, problem.y, problem.l2), tolerances, problem)
    assert reached <= 1e-6
    assert torch.get_float32_matmul_precision() == before


# ---- what the suites make of the works ---------------------------------------------------------------------


def test_from_works_to_the_table_of_targets(
    place: Place, dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Timed in turns, recorded and judged, as ``python -m bench.run --gpu`` does it, but for the device."""
    monkeypatch.setattr(laboratory, "_caches_of", lambda _work, _host: {})
    name = np.dtype(dtype).name
    rivals_too = bench_gpu_gradient.RIVALS
    works = {rival: bench_gpu_gradient.prepare(place, rival, "300x5", name) for rival in rivals_too}
    clock, budget = Clock(rest=0.0, settling=0.0), measuring.Budget(seconds=0.0, fewest=2, most=2, sample=0.0)
    results = measuring.run(works, measuring.Tools(clock, budget))
    room = laboratory.Laboratory(full=False)
    records = []
    for rival, outcome in results.items():
        assert isinstance(outcome, Outcome), outcome
        entry = {
            "fullname": f"bench/suites/bench_gpu_gradient.py::bench_gpu_gradient[cupy-{rival}]",
            "group": works[rival].group,
            "stats": {"data": list(outcome.seconds)},
            "extra_info": json.loads(json.dumps(room._info(works[rival], outcome))),
        }
        records.append(record(entry, {"device copy": 1e9}))
    assert [(one.suite, one.version, one.engine) for one in records] == [
        ("gpu_gradient", "ours", "cupy"), ("gpu_gradient", "CuPy expressions", "cupy"),
    ]  # fmt: skip
    assert all(one.interleaved for one in records)
    large = replace(records[0], shape=(10_000_000, 28), dtype="float32")
    assert "% by kernels" in gpu_targets.text([large])


def test_the_place_on_a_device(played_engine: PlayedCupyBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a module that has as much of CuPy as it asks for."""
    freed, copied = [], []

    class Event:
        def record(self) -> None:
            pass

        def synchronize(self) -> None:
            pass

    def zeros(size: int, _dtype: Any) -> Any:
        copy = SimpleNamespace(copy_from_device_async=lambda _source, n: copied.append(n))
        return SimpleNamespace(data=copy, nbytes=size)

    cupy = SimpleNamespace(
        zeros=zeros,
        cuda=SimpleNamespace(Event=Event, get_elapsed_time=lambda _start, _stop: 2.0),
        get_default_memory_pool=lambda: SimpleNamespace(free_all_blocks=lambda: freed.append(1)),
    )
    monkeypatch.setitem(sys.modules, "cupy", cupy)  # type: ignore[arg-type]
    with gpu_place.cuda_place(played_engine) as found:
        assert found.xp is cupy
        assert found.copy_bandwidth() == pytest.approx(2 * gpu_place.COPY_BYTES / 2e-3)
        assert set(copied) == {gpu_place.COPY_BYTES}
    assert freed == [1]
