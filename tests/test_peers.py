"""The comparison with peers: its judge, its problems, its optimum, its processes and its conclusions.

Only scikit-learn is needed here; solvers that fail are played by a module written for the occasion.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from scipy.special import expit

from bench.peers import document, optimum, plots, score, shapes, solvers
from bench.peers.__main__ import main
from bench.peers.contest import Contest, Pace
from bench.peers.data import Data, load, save
from bench.peers.messages import Request, Task
from bench.peers.optimum import Optimum
from bench.peers.process import Process
from bench.peers.results import Run, ShapeResult
from bench.peers.solvers import DEFAULT, OURS, SOLVERS, Solver, since
from bench.peers.station import Sampling, Station
from bench.peers.summary import markdown, row, text
from bench.peers.tables import table

FAKES = """
import time

def raises(X, y, parameters, threads):
    raise ArithmeticError("no luck with tol=%g" % parameters["tol"])

def hangs(X, y, parameters, threads):
    time.sleep(60)

def dies(X, y, parameters, threads):
    import os
    print("out of luck", flush=True)
    os._exit(3)
"""


def small(kind: str, n: int = 300, d: int = 7) -> Data:
    rng = np.random.default_rng(4)
    X: Any = rng.standard_normal((n, d)) * (rng.random((n, d)) < 0.6)
    y = (rng.random(n) < expit(X @ rng.standard_normal(d) - 0.3)).astype(np.float64)
    return Data(sparse.csr_matrix(X) if kind == "sparse" else X.astype(kind), y)


KINDS = pytest.mark.parametrize("kind", ["float64", "float32", "sparse"])


@KINDS
def test_the_judge_knows_known_values(kind: str) -> None:
    data = small(kind)
    assert score.objective(data, np.zeros(data.d), 0.0) == pytest.approx(np.log(2.0), rel=1e-15)
    w, b = np.linspace(-1.0, 1.0, data.d), 0.4
    X = np.asarray(data.X.todense() if data.is_sparse else data.X, dtype=np.float64)
    p = expit(X @ w + b)
    by_hand = -np.mean(np.where(data.y == 1.0, np.log(p), np.log1p(-p))) + 0.5 / data.n * (w @ w)
    assert score.objective(data, w, b) == pytest.approx(by_hand, rel=1e-14)
    assert np.isnan(score.objective(data, w, np.inf))


@KINDS
def test_the_judges_gradient_is_that_of_its_objective(kind: str) -> None:
    data = small(kind)
    W = np.linspace(-0.5, 0.7, data.d + 1)
    slope, intercept_slope = score.gradient(data, W[:-1], W[-1])
    step = 1e-6
    for j, value in enumerate([*slope, intercept_slope]):
        up, down = W.copy(), W.copy()
        up[j] += step
        down[j] -= step
        difference = score.objective(data, up[:-1], up[-1]) - score.objective(data, down[:-1], down[-1])
        assert difference / (2.0 * step) == pytest.approx(value, abs=1e-9)


def test_the_judge_reads_blocks_as_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    data, w = small("float32"), np.linspace(-1.0, 1.0, 7)
    whole = score.objective(data, w, 0.1)
    monkeypatch.setattr(score, "_BLOCK_NUMBERS", 70)
    assert len(list(score.blocks(data))) == 30
    assert score.objective(data, w, 0.1) == pytest.approx(whole, rel=1e-14)


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
    theirs = score.objective(data, model.coef_[0], float(model.intercept_[0]))
    assert theirs == pytest.approx(found.value, rel=1e-9)
    assert theirs >= found.value * (1.0 - 1e-14)


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
    far = optimum.judge(data, np.full(data.d, 0.05), 3.0, "a guess")
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
    ]:
        data = shapes.SHAPES[name].build(divisor)
        assert data.X.shape == X_shape
        assert data.X.dtype == dtype
        assert set(np.unique(data.y)) == {0.0, 1.0}
    assert len(shapes.SHAPES) == 11


def test_a_quick_run_begins_where_the_strong_peers_arrive() -> None:
    for shape in shapes.SHAPES.values():
        for name, entry in shape.strong.items():
            first, *_ = since(SOLVERS[name].sweep, entry)
            assert entry.items() <= first[0].items()
            assert len(entry) == len(first[0].keys() - {"solver", "dual"})  # nothing is left to chance
    sweep = SOLVERS["snapml primal"].sweep
    begun = since(sweep, {"column": 10.0, "tol": 1e-5})
    assert begun == (sweep[1][1:], sweep[2])
    assert since(sweep, sweep[0][0]) == sweep
    with pytest.raises(ValueError, match=r"\{'tol': 0.7\} is in no entry of the sweep"):
        since(sweep, {"tol": 0.7})


@pytest.mark.parametrize(("known", "tried"), [(True, [1e-4]), (False, [1e-2, 1e-3, 1e-4])])
def test_the_pace_says_where_a_strong_peers_sweep_begins(known: bool, tried: list[float]) -> None:
    class Instant(Station):
        """Fits that take no time and come as near as their tolerance says, without a process."""

        def cold(self, *_: object) -> tuple[float, str]:
            return 0.1, ""

        def measure(self, _solver: Solver, run: Run, _limit: float) -> Run:
            run.seconds.append(0.1)
            run.values.append(0.5 * (1.0 + run.parameters["tol"] * 1e-2))
            return run

    data = small("float64")
    result = result_of(data)
    peer = Solver("a", "", (tuple({"tol": tol} for tol in (1e-2, 1e-3, 1e-4, 1e-5)),))
    station = Instant(result, data, Path(), Sampling())
    pace = Pace(seconds=9.0, rounds=1, stop=1e-6, known=known)
    Contest(station, [peer], {"a": {"tol": 1e-4}}, pace, lambda _line: None).run()
    assert [run.parameters["tol"] for run in result.runs] == tried


def test_a_target_may_be_about_one_library() -> None:
    result = result_of(small("float64"))
    times = {OURS: 1e-3, "snapml primal": 2e-3, "scikit-learn lbfgs": 9e-3}
    for solver, seconds in times.items():
        run = Run(solver, DEFAULT if solver == OURS else {"tol": 1e-4})
        run.seconds, run.values, run.suboptimality = [seconds], [1.0], 1e-9
        result.runs.append(run)
    result.target = 8.0
    assert row(result).verdict == "not met"
    result.against = "scikit-learn"
    assert row(result).verdict.startswith("met: 9")
    assert row(result).ratio == pytest.approx(2.0)


@KINDS
def test_data_travel_as_they_are(kind: str, tmp_path: Path) -> None:
    data = small(kind)
    save(data, tmp_path)
    found = load(tmp_path)
    assert type(found.X) is type(data.X)
    assert found.X.dtype == data.X.dtype
    assert abs(found.X - data.X).max() == 0.0
    np.testing.assert_array_equal(found.y, data.y)


def result_of(data: Data, best: Optimum | None = None) -> ShapeResult:
    return ShapeResult(
        "tiny",
        data.n,
        data.d,
        data.n_stored,
        str(data.X.dtype),
        data.n_bytes,
        target=5.0,
        divided_by=1,
        read_bandwidth=1e10,
        optimum=best or Optimum(0.5, 1e-12, 1e-14, "made up"),
    )


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fake_peers.py").write_text(FAKES)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("fakes")
def test_a_contest_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = small("float64")
    save(data, tmp_path)
    result = result_of(data, optimum.solve(data))
    sweep = ({"tol": 1e-2}, {"tol": 1e-4})
    entrants = [
        SOLVERS[OURS],
        replace(SOLVERS["scikit-learn newton-cholesky"], alone=""),
        Solver("raising", "fake_peers:raises", (sweep,)),
        Solver("hanging", "fake_peers:hangs", (sweep,), loading=0.0),
        Solver("dying", "fake_peers:dies", (sweep,)),
        Solver("missing", "no_such_library:fit", (sweep,)),
        Solver("unfit", "fake_peers:raises", (sweep,), refuses=lambda data: f"does not do d={data.d}"),
    ]
    pace = Pace(seconds=100.0, rounds=2, shortest=0.2, longest=0.3, sampling=Sampling(3, 0.01, 0.0))
    lines: list[str] = []
    with Station(result, data, tmp_path, pace.sampling) as station:
        # The hanging one last and alone with a short allowance: others may compile first.
        Contest(station, [s for s in entrants if s.name != "hanging"], {}, pace, lines.append).run()
        began = time.monotonic()
        seconds, trouble = station.cold(entrants[3], {"tol": 1e-2}, 0.3)
        result.runs.append(Run("hanging", {"tol": 1e-2}, trouble=trouble))
    assert time.monotonic() - began < 30.0
    assert trouble == "did not finish in 0.3 s"
    assert seconds == 0.0
    ours = result.ours
    assert ours is not None
    assert ours.suboptimality is not None
    assert ours.suboptimality <= 1e-8
    assert len(ours.seconds) == 2
    assert not ours.scouting
    assert ours.reads is not None
    peer = result.best_peer(1e-6)
    assert peer is not None
    assert peer.solver == "scikit-learn newton-cholesky"
    troubles = {run.solver: run.trouble for run in result.runs if run.trouble}
    assert troubles["raising"].startswith("ArithmeticError: no luck with tol=0.01 (fake_peers.py:")
    assert troubles["dying"] == "its process ended with status 3: out of luck"
    assert "no_such_library" in troubles["missing"]
    assert result.left_out == {"unfit": "does not do d=7"}
    printed = table(result)
    assert all(solver.name in printed for solver in entrants)
    assert row(result).ratio == peer.median / ours.median
    # Every run survives the way to the file and back.
    path = tmp_path / "results.json"
    from accel_logreg.lab import machine

    document.write(path, [result], machine.describe())
    assert document.read(path) == [result]
    assert json.loads(path.read_text())["machine"]["usable_cores"] >= 1
    drawn = plots.save([result], tmp_path / "pictures")
    assert drawn == [tmp_path / "pictures" / "tiny.svg"]
    assert drawn[0].read_bytes().startswith(b"<?xml")
    # And the command prints the same from the file.
    capsys.readouterr()
    assert main(["--read", str(path)]) == 0
    out = capsys.readouterr().out
    assert printed in out
    assert text([result]) in out


@pytest.mark.slow
def test_the_command_measures_prints_and_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("accel_logreg.lab.machine.read_bandwidth", lambda: 1e10)
    monkeypatch.setattr(Station, "compiling", lambda *_: 12.5)
    pace = Pace(60.0, rounds=1, stop=1e-2, sampling=Sampling(2, 0.01, 0.0))
    monkeypatch.setattr("bench.peers.compare._pace", lambda *_: pace)
    path = tmp_path / "found" / "peers.json"
    arguments = ["--shape", "1000x20-float64", "--solver", "scikit-learn newton-cg", "--output", str(path)]
    assert main([*arguments, "--markdown", "--plots", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("| shape | ours |")
    assert "| 1000x20-float64 |" in printed.out
    assert f"written: {path}" in printed.err
    (result,) = document.read(path)
    assert result.compile_seconds == 12.5
    assert result.optimum.how == "our Newton, float64"
    assert {run.solver for run in result.runs} == {OURS, "scikit-learn newton-cg"}
    assert (tmp_path / "1000x20-float64.svg").exists()


def test_a_worker_tells_of_warnings_and_reuses_a_conversion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "peer_with_format.py").write_text(
        "import warnings\n"
        "from bench.peers.libraries import Answer\n"
        "def convert(X, y, p): return (X * p['column'], len(y))\n"
        "def fit(X, y, p, threads):\n"
        "    warnings.warn('did not converge\\nmore words')\n"
        "    return Answer(X[0][0], X[1] + threads)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    data = small("float64")
    save(data, tmp_path)
    task = Task("peer_with_format:fit", "peer_with_format:convert", ("column",), str(tmp_path))
    with Process(task, tmp_path / "log") as process:
        assert process.starting.trouble == ""
        first = process.ask(Request({"column": 2.0, "tol": 0.1}, threads=5, calls=4, seconds=9.0), 20.0)
        assert first.trouble == ""
        assert first.conversion_seconds is not None
        assert len(first.seconds) == 4
        assert first.warnings == ("did not converge",)
        np.testing.assert_array_equal(first.w, 2.0 * data.X[0])
        assert first.b == data.n + 5
        if sys.platform == "linux":
            assert first.peak_bytes is not None
            assert first.peak_bytes >= 0
        same = process.ask(Request({"column": 2.0, "tol": 0.2}, threads=1), 20.0)
        assert same.conversion_seconds is None
        other = process.ask(Request({"column": 3.0, "tol": 0.2}, threads=1, calls=0), 20.0)
        assert other.conversion_seconds is not None
        assert other.seconds == ()
    assert not process.alive


def made_up(*runs: Run) -> ShapeResult:
    result = result_of(small("float64"))
    for run in runs:
        run.seconds = run.seconds or [1.0]
        run.scouting = False
    result.runs = list(runs)
    return result


def test_the_best_peer_is_the_fastest_at_any_tolerance_that_is_near_enough() -> None:
    result = made_up(
        Run(OURS, DEFAULT, seconds=[0.1, 0.3, 0.1], suboptimality=2e-9),
        Run("a", {"tol": 1e-2}, seconds=[0.2], suboptimality=5e-6),  # fast, not near enough
        Run("a", {"tol": 1e-3}, seconds=[0.9, 0.8, 5.0], suboptimality=9e-7),
        Run("a", {"tol": 1e-4}, seconds=[1.5], suboptimality=1e-12),
        Run("b", {"tol": 1e-3}, seconds=[1.0], suboptimality=1e-9),
        Run("c", {"tol": 1e-3}, seconds=[0.5], suboptimality=1e-9, trouble="its weights are not finite"),
    )
    entry = row(result)
    assert entry.peer is result.runs[2]
    assert entry.ratio == pytest.approx(9.0)
    assert entry.verdict == "met"
    assert result.fastest("a", 1e-8) is result.runs[3]
    assert "**9.00×**" in markdown([result])
    assert row(replace(result, target=10.0)).verdict == "not met"
    assert row(replace(result, divided_by=4)).target is None


@pytest.mark.parametrize(
    ("ours", "bound", "words"),
    [
        (Run(OURS, DEFAULT, suboptimality=3.1e-8), 1e-14, "our suboptimality is 3.1e-08, above 1e-08"),
        (Run(OURS, DEFAULT, suboptimality=float("nan")), 1e-14, "our suboptimality is nan"),
        (Run(OURS, DEFAULT, suboptimality=1e-9), 1e-7, "J* is known within 1.0e-07 only"),
        (Run(OURS, DEFAULT, trouble="did not finish in 40 s"), 1e-14, "did not finish in 40 s"),
        (Run(OURS, {"tol": 1e-3}, suboptimality=1e-12), 1e-14, "our default fit was not measured"),
    ],
)
def test_ours_above_what_it_promises_is_a_failure(ours: Run, bound: float, words: str) -> None:
    result = made_up(ours, Run("a", {"tol": 1e-3}, suboptimality=1e-9))
    result.optimum = replace(result.optimum, bound=bound)
    entry = row(result)
    assert entry.failed
    assert entry.ratio is None
    assert words in entry.verdict
    assert "*** FAILED: tiny" in text([result])
    assert "FAILED" in markdown([result])


def test_a_lower_j_than_the_reference_moves_it(tmp_path: Path) -> None:
    data = small("float64")
    result = result_of(data, Optimum(0.9, 1.0, 1.0, "a bad guess"))
    best = optimum.solve(data)
    result.runs = [Run("a", {}, values=[best.value, best.value * 1.001])]
    with Station(result, data, tmp_path, Sampling()) as station:
        station._lowest = (best.value, *optimum.newton(data, np.zeros(data.d + 1)))
        station.settle()
    assert result.optimum.how == "the lowest J of all runs"
    assert result.optimum.value == pytest.approx(best.value, rel=1e-14)
    assert result.runs[0].suboptimality == pytest.approx(1e-3)  # the worst round counts


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--shape", "7x7"], "shape '7x7' is not known; choose from 1e6x28-float64, "),
        (["--solver", "libsvm"], "solver 'libsvm' is not known; choose from 'accel_logreg', "),
        (["--shrink", "0"], "--shrink 0 must be at least 1"),
        (["--read", "no-such-file.json"], "no-such-file.json cannot be read: "),
    ],
)
def test_wrong_arguments_are_named(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert words in capsys.readouterr().err


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text('{"format": "accel_logreg benchmarks", "version": 1}')
    with pytest.raises(ValueError, match=r"format='accel_logreg benchmarks', version=1; .* is needed"):
        document.read(path)


def test_ours_takes_part_always_and_as_it_comes() -> None:
    assert [solver.name for solver in solvers.named(["scikit-learn sag"])] == [OURS, "scikit-learn sag"]
    from accel_logreg import LogisticRegression

    assert LogisticRegression().tol == DEFAULT["tol"]
    assert any(entry == DEFAULT for group in SOLVERS[OURS].sweep for entry in group)
