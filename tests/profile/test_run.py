"""A profile of a small fit: parts that make the whole, tables, JSON, and a trace that viewers open."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from support.profiles import CEILINGS, check_trace, given, small_profile

from accel_logreg.backends import BackendUnavailableError, load_backend
from accel_logreg.measure import machine
from accel_logreg.measure.clock import UnequalResultsError
from accel_logreg.measure.table import Table
from accel_logreg.profile import ceilings as profile_ceilings
from accel_logreg.profile import problem as profile_problem
from accel_logreg.profile import report
from accel_logreg.profile.ceilings import Ceilings, best_of, host_ceilings
from accel_logreg.profile.problem import Problem, bytes_needed, made_problem, require_memory
from accel_logreg.profile.record import COPIES, KERNELS, QUESTIONS, STAGES, Span
from accel_logreg.profile.report import to_trace
from accel_logreg.profile.result import Profile, Settings, breakdown, questions
from accel_logreg.profile.run import run_profile
from bench.report.table import plain_lines


@pytest.fixture(scope="module")
def profile() -> Profile:
    return small_profile("numpy")


def test_the_parts_make_the_whole(profile: Profile) -> None:
    spans = profile.spans_of_fit()
    parts = breakdown(spans)
    assert parts.checking > 0.0
    assert parts.taking > 0.0
    assert parts.solving > 0.0
    assert parts.checking + parts.taking + parts.asking + parts.solving == pytest.approx(parts.fit)
    assert parts.asking == pytest.approx(sum(one.total for one in questions(spans, CEILINGS)))
    assert parts.fit == profile.profiled[profile.chosen]
    assert (len(profile.plain), len(profile.profiled)) == (2, 2)


def test_reads_are_the_estimators_own(profile: Profile) -> None:
    """The clock in the interface counts what the fit itself has counted."""
    sums = questions(profile.spans_of_fit(), CEILINGS)
    assert sum(one.reads for one in sums) == pytest.approx(profile.reads)
    assert sum(one.bytes for one in sums) == pytest.approx(
        profile.reads * profile.matrix_bytes, abs=len(sums)
    )
    (prediction,) = questions(profile.prediction(), CEILINGS)
    assert (prediction.name, prediction.calls, prediction.bytes) == ("logits", 1, profile.matrix_bytes)


@pytest.mark.parametrize("backend", ["python", "numpy", "numba"])
@pytest.mark.parametrize("solver", ["newton", "newton-cg", "lbfgs", "gradient-descent"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_reads_of_three_classes(backend: str, solver: str, rng: np.random.Generator) -> None:
    """Reads are the fit's own, samples' too, and its work is K times that of one column."""
    X = rng.standard_normal((120, 4))
    y = np.array(["a", "b", "c"])[(X[:, :3] + rng.gumbel(size=(120, 3))).argmax(axis=1)]
    settings = Settings(backend, solver, repeats=1, max_iter=20 if solver == "gradient-descent" else None)
    found = run_profile(Problem(X, y, "given"), settings, measure=given)
    sums = {one.name: one for one in questions(found.spans_of_fit(), CEILINGS)}
    if solver == "gradient-descent":  # what then says how far it came is not in its history
        assert sums["descend"].flops == 4 * 3 * 120 * 4 * 20
    else:
        assert sum(one.reads for one in sums.values()) == pytest.approx(found.reads)
        loss_grad = sums["loss_grad"]
        assert loss_grad.flops == pytest.approx(4 * 3 * 120 * 4 * loss_grad.reads)
    (prediction,) = questions(found.prediction(), CEILINGS)
    assert (prediction.name, prediction.flops) == ("logits", 2 * 3 * 120 * 4)


def test_percentages_are_of_the_lower_ceiling() -> None:
    assert CEILINGS.floor_seconds(1e11, 1e12, "float64") == 1.0
    assert CEILINGS.floor_seconds(1e11, 3e12, "float64") == 3.0
    assert CEILINGS.floor_seconds(1e11, 3e12, "float32") == 1.5
    assert CEILINGS.bound(1e11, 9e11, "float64") == "memory"
    assert CEILINGS.bound(1e11, 3e12, "float64") == "arithmetic"
    tensor = replace(CEILINGS, flops={"float32": 1e12, "TF32": 4e12})
    assert tensor.rate("float32") == 4e12
    assert tensor.rate("float64") is None
    assert tensor.floor_seconds(1e10, 1e15, "float64") == 0.1  # what was not measured limits nothing
    details = {"bytes": 5e10, "flops": 1e9, "reads": 2.0, "arithmetic": "float64", "sampled": False}
    span = Span(QUESTIONS, "loss_grad", 0.0, 1.0, "fit 0", details)
    (one,) = questions([span, replace(span, seconds=3.0)], CEILINGS)
    assert (one.calls, one.total, one.median, one.reads) == (2, 4.0, 2.0, 4.0)
    assert (one.bytes_per_second, one.flops_per_second) == (2.5e10, 5e8)
    assert (one.percent, one.bound) == (25.0, "memory")


def test_of_two_measurements_the_faster_counts() -> None:
    slow = Ceilings(1e9, "given", {"float32": 9.0, "float64": 1.0}, {"back": 1.0})
    assert best_of(slow, replace(CEILINGS, copies={"back": 2.0})) == Ceilings(
        1e11, "given", {"float32": 2e12, "float64": 1e12}, {"back": 2.0}
    )


@pytest.mark.parametrize("engine", ["python", "numpy", "numba"])
def test_every_engine_on_the_host(engine: str) -> None:
    profile = small_profile(engine, repeats=1)
    assert (profile.engine, profile.clock, profile.on_device) == (engine, "monotonic clock", False)
    names = {one.name for one in questions(profile.spans_of_fit(), CEILINGS)}
    assert names & {"small_fit", "loss_grad"}
    assert report.tables(profile).keys() == {"stages", "questions", "work", "ceilings"}


def test_the_fit_that_is_shown_has_the_median_time() -> None:
    profile = small_profile("numpy", repeats=3)
    assert profile.profiled[profile.chosen] == sorted(profile.profiled)[1]


def test_tables_hold_every_question_and_every_stage(profile: Profile) -> None:
    tables = report.tables(profile)
    stages = [row[0].strip() for row in tables["stages"].rows]
    assert stages == [
        "load the engine", "compile kernels", "first fit", "one fit", "check", "take rows", "questions",
        "solver", "predict",
    ]  # fmt: skip
    names = [one.name for one in questions(profile.spans_of_fit(), CEILINGS)]
    assert [row[0] for row in tables["questions"].rows] == names
    assert [row[0] for row in tables["work"].rows] == names
    assert tables["ceilings"].rows[0] == ("memory", "100 GB/s", "given")
    assert "a note" in tables["ceilings"].notes
    for table in tables.values():
        assert all(len(row) == len(table.columns) for row in table.rows)
        assert max(map(len, plain_lines(table))) <= 80


def test_plain_tables_line_up() -> None:
    table = Table("t", ("a", "long name"), (("wide cell", "1"), ("x", "2")))
    assert plain_lines(table) == ["t", "a          long name", "wide cell  1", "x          2"]


def test_json_holds_every_call(profile: Profile) -> None:
    figures = json.loads(report.to_json(profile))
    assert figures["format"] == "accel_logreg profile"
    assert figures["settings"]["tol"] == 1e-8
    assert "spans" not in figures
    parts = figures["breakdown"]
    assert parts["fit"] == pytest.approx(sum(value for name, value in parts.items() if name != "fit"))
    for one in figures["questions"]:
        assert one["calls"] == len(one["samples"])
        assert one["total"] == pytest.approx(sum(one["samples"]))
    assert figures["kernels"] == figures["host_device_copies"] == []
    assert figures["ceilings"]["flops"] == CEILINGS.flops


def test_the_trace_is_what_viewers_open(profile: Profile) -> None:
    events = check_trace(to_trace(profile))["traceEvents"]
    complete = [event for event in events if event["ph"] == "X"]
    assert len(complete) == len(profile.spans)
    fits = [event for event in complete if event["name"] == "profiled fit"]
    asked = [event for event in complete if event["cat"] == QUESTIONS and event["args"]["part"] == "fit 0"]
    assert asked
    for event in asked:
        assert fits[0]["ts"] <= event["ts"]
        assert event["ts"] + event["dur"] <= fits[0]["ts"] + fits[0]["dur"] + 1e-3
    assert {event["cat"] for event in complete} == {STAGES, QUESTIONS}


def test_device_tracks_are_a_process_of_their_own(profile: Profile) -> None:
    device = (Span(KERNELS, "gradient", 0.5, 0.1), Span(COPIES, "copy back", 0.6, 0.1, "", {"bytes": 8e8}))
    events = check_trace(to_trace(replace(profile, spans=profile.spans + device)))["traceEvents"]
    copy = next(event for event in events if event["name"] == "copy back")
    assert copy["args"]["GB/s"] == pytest.approx(8.0)
    assert copy["pid"] != next(event for event in events if event["name"] == "profiled fit")["pid"]


def test_cautions(profile: Profile) -> None:
    quiet = replace(profile, plain=(1.0, 1.1), profiled=(1.05, 1.1), load_average=0.0)
    assert report.cautions(quiet) == []
    (noisy,) = report.cautions(replace(quiet, plain=(0.9, 2.0)))
    assert "differ 2.2-fold" in noisy
    (costly,) = report.cautions(replace(quiet, profiled=(1.5, 1.5)))
    assert "The profiler itself costs 43%" in costly
    assert report.cautions(replace(quiet, warnings=("slow",))) == ["slow"]
    (busy,) = report.cautions(replace(quiet, load_average=99.0))
    assert "other work kept about 99.0 of" in busy


def test_a_solver_that_stops_short_says_so_once() -> None:
    profile = small_profile("numpy", solver="lbfgs", max_iter=1)
    assert len(profile.warnings) == 1
    assert "raise max_iter above 1" in profile.warnings[0]


def test_a_fit_that_ends_elsewhere_is_not_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Settings.model
    made: list[int] = []

    def other(self: Settings) -> Any:
        made.append(1)
        # The first is made for nothing; the second fits; the third finds another optimum.
        return model(self if len(made) < 3 else replace(self, C=1e-3))

    monkeypatch.setattr(Settings, "model", other)
    with pytest.raises(UnequalResultsError, match="a fit gave"):
        small_profile("numpy")


@pytest.mark.parametrize(
    ("options", "message"),
    [({"repeats": 0}, "repeats=0 must be at least 1"), ({"n_threads": 0}, "n_threads=0 must be at least 1")],
)
def test_settings_that_cannot_be(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Settings("numpy", **options)  # type: ignore[arg-type]


def test_an_unknown_engine_or_solver() -> None:
    problem = made_problem(10, 2, "float64", 0)
    with pytest.raises(ValueError, match="backend='fortran' is unknown"):
        run_profile(problem, Settings("fortran"), measure=given)
    with pytest.raises(ValueError, match="solver='magic'"):
        run_profile(problem, Settings("numpy", solver="magic"), measure=given)


def test_an_engine_that_cannot_run(monkeypatch: pytest.MonkeyPatch) -> None:
    from accel_logreg import backends

    def broken() -> None:
        raise BackendUnavailableError("cupy", "No device.", "Buy one.")

    monkeypatch.setattr(backends, "_loaded", {})
    monkeypatch.setitem(backends._LOADERS, "cupy", broken)  # type: ignore[arg-type]
    with pytest.raises(BackendUnavailableError, match=r"No device\. Buy one\."):
        small_profile("cupy")


# ---- the made problem and its memory --------------------------------------------------------------------


def test_the_made_problem_is_the_same_for_the_same_seed(dtype: Any) -> None:
    name = np.dtype(dtype).name
    first, again, other = (made_problem(3000, 7, name, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.X, again.X)
    np.testing.assert_array_equal(first.y, again.y)
    assert not np.array_equal(first.X, other.X)
    assert first.X.dtype == dtype
    assert first.X.flags.c_contiguous
    assert set(first.y) == {0, 1}
    assert 0.2 < first.y.mean() < 0.6
    np.testing.assert_allclose(first.X.std(axis=0), np.linspace(0.5, 2.0, 7), rtol=0.1)


def test_blocks_make_no_difference_to_labels_at_their_edges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile_problem, "_BLOCK_BYTES", 8 * 7 * 10)
    assert made_problem(2, 1, "float32", 0).y.tolist() == [0, 1]
    problem = made_problem(2345, 7, "float64", 0)
    assert set(problem.y) == {0, 1}
    assert np.isfinite(problem.X).all()


@pytest.mark.parametrize(("n", "d", "name"), [(1, 3, "rows=1"), (0, 3, "rows=0"), (5, 0, "features=0")])
def test_no_problem_at_all(n: int, d: int, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least"):
        made_problem(n, d, "float64", 0)


def test_memory_is_estimated_before_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert bytes_needed(1000, 100, "float64", "numpy", "auto") > 8e5
    lists, arrays = (bytes_needed(1000, 100, "float64", name, "auto") for name in ("python", "numpy"))
    assert lists > arrays + 24e5
    gram, newton = (bytes_needed(9000, 2, "float64", "numpy", name) for name in ("newton-gram", "newton"))
    assert gram > newton + 8 * 9000**2
    monkeypatch.setattr(profile_problem, "free_memory", lambda: 1_000_000)
    message = r"100,000 rows of 10 features in float64 need about .* MB with numpy .*--dtype float32, fewer"
    with pytest.raises(MemoryError, match=message):
        require_memory(100_000, 10, "float64", "numpy", "auto")
    require_memory(100, 10, "float64", "numpy", "auto")
    monkeypatch.setattr(profile_problem, "free_memory", lambda: None)  # a system that does not tell
    require_memory(10**12, 10, "float64", "numpy", "auto")


def test_free_memory(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    free = machine.free_memory()
    assert free is None or free > 0
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:  5000 kB\n")
    monkeypatch.setattr(machine, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(machine, "_CGROUP_MEMORY", tmp_path / "memory.max")
    assert machine.free_memory() == 5000 * 1024
    (tmp_path / "memory.max").write_text("3000000\n")
    (tmp_path / "memory.current").write_text("1000000\n")
    assert machine.free_memory() == 2_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.free_memory() == 5000 * 1024
    monkeypatch.setattr(machine, "_MEMINFO", tmp_path / "nothing")
    assert machine.free_memory() is None


def test_data_with_other_labels_are_profiled_too(rng: np.random.Generator) -> None:
    X = rng.standard_normal((50, 2))
    problem = Problem(X, np.where(X[:, 0] > 0, "yes", "no"), "a file")
    profile = run_profile(problem, Settings("numpy", repeats=1), measure=given)
    assert dict(report.facts(profile))["problem"] == "50 × 2 float64, a file"


# ---- ceilings of the host ------------------------------------------------------------------------------


@pytest.fixture
def small_ceilings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured on little, without a rest."""
    monkeypatch.setattr(profile_ceilings, "REST", 0.0)
    monkeypatch.setattr(profile_ceilings, "HOST_SIZE", 64)
    monkeypatch.setattr(profile_ceilings, "read_bandwidth", partial(machine.read_bandwidth, megabytes=2))


@pytest.mark.usefixtures("small_ceilings")
def test_host_ceilings() -> None:
    ceilings = host_ceilings(load_backend("numpy"), 1)
    assert ceilings.bandwidth > 0.0
    assert ceilings.bandwidth_of == "reading a large array, 1 thread"
    assert ceilings.flops.keys() == {"float32", "float64"}
    assert min(ceilings.flops.values()) > 0.0


@pytest.mark.usefixtures("small_ceilings")
def test_a_wrong_product_has_no_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np, "matmul", lambda _a, _b, out: out.fill(1.0))
    with pytest.raises(ArithmeticError, match="product in float32 is wrong"):
        host_ceilings(load_backend("numpy"), 1)
