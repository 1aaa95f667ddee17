"""The clock in the door: answers are the engine's own, and what is recorded is what was asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from accel_logreg import LogisticRegression
from accel_logreg.backends import load_backend, stand_in
from accel_logreg.backends.numba_jit import tuning
from accel_logreg.interface.answers import RowSample
from accel_logreg.interface.arrays import Csr
from accel_logreg.interface.engine import Engine
from accel_logreg.interface.rows import AmongRows, Rows
from accel_logreg.profile import record
from accel_logreg.profile.record import QUESTIONS, STAGES, Ranges, Recorder, Watch, nvtx_ranges
from accel_logreg.profile.rows import ProfiledBackend, ProfiledRows, arguments_of, flops, questions_of

N, D = 60, 5


@pytest.fixture
def recorder() -> Recorder:
    return Recorder(Watch())


@pytest.fixture
def problem(rng: np.random.Generator, dtype: Any) -> tuple[Any, Any, Any]:
    X = rng.standard_normal((N, D)).astype(dtype)
    return X, (rng.random(N) < 0.5).astype(np.float64), rng.random(N) + 0.5


def ask_everything(engine: Engine, rows: Any, rng: np.random.Generator) -> dict[str, Any]:
    """Every question's answer, the samples' too."""
    W, V = rng.standard_normal((2, D + 1))
    picked = RowSample(np.arange(0, N, 3), np.full(N // 3, 2.0))
    centre, scale = rng.standard_normal(D), rng.random(D) + 0.5
    a = rng.standard_normal(N)
    sample = rows.sample(picked)
    run = engine.small_fit(rows, 0.1, True, 1e-8, 50)
    descent = rows.descend(W, 0.1, 0.01, 3, True)
    arrays = {
        "loss_grad": rows.loss_grad(W)[1],
        "loss": np.array(rows.loss_grad(W)[0]),
        "hessian_product": rows.hessian_product(W, V),
        "descend": np.concatenate([descent.W, descent.costs]),
        "small_fit": np.zeros(0) if run is None else run.W,
        "largest_entry": np.array(rows.largest_entry()),
        "longest_row": np.array(rows.longest_row(centre, scale)),
        "hessian": rows.hessian(W, centre, scale),
        "hessian of some": rows.hessian(W, centre, scale, sample=picked, precision="float64"),
        "low_precision_hessian": np.array(rows.low_precision_hessian(W, centre, scale) is None),
        "hessian_diagonal": rows.hessian_diagonal(W),
        "gram": rows.among_rows().gram(centre),
        "combination": rows.among_rows().combination(a),
        "logits": rows.logits(W),
        "sample": sample.loss_grad(W)[1],
        "restricted": rows.restricted(np.array([3, 1])).loss_grad(W[:3])[1],
        "quantised": np.array(rows.quantised(centre, scale) is None),
        "counts": np.array([rows.reads, sample.reads, rows.n_rows, sample.n_rows, rows.weight_sum]),
    }
    return arrays


def assert_same_bits(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for name, array in found.items():
        if name == "small_fit":  # its vectors lie where memory is free, and its last bits follow from that
            np.testing.assert_allclose(array, expected[name], rtol=1e-9)
        else:
            assert array.tobytes() == expected[name].tobytes(), name


def test_every_answer_and_count_is_the_engines_own(
    backend: Engine, problem: tuple[Any, Any, Any], recorder: Recorder
) -> None:
    plain = ask_everything(backend, backend.place(*problem), np.random.default_rng(1))
    profiled = ProfiledBackend(backend, recorder)
    rows = profiled.place(*problem)
    assert_same_bits(ask_everything(profiled, rows, np.random.default_rng(1)), plain)
    W = np.arange(D + 1.0)
    np.testing.assert_array_equal(profiled.logits(problem[0], W), backend.logits(problem[0], W))
    asked = {span.name for span in recorder.spans() if span.track == QUESTIONS}
    looks_at_no_row = {
        "placed", "pick", "take", "column_moments", "among_rows", "column_descent", "expect_hessian"
    }  # fmt: skip
    assert asked == {*questions_of(Rows, AmongRows), "small_fit"} - looks_at_no_row


def test_a_new_question_of_the_door_is_passed_on() -> None:
    """The list is the door's own: what is abstract there is answered here."""
    assert not ProfiledRows.__abstractmethods__
    assert not ProfiledBackend.__abstractmethods__
    public = {name for name in Rows.__abstractmethods__ if not name.startswith("_")}
    assert public <= set(questions_of(Rows))
    assert "loss_grad" in vars(ProfiledRows)


def test_settings_of_the_backend_are_its_own(recorder: Recorder) -> None:
    for name in ("python", "numpy", "numba"):
        backend = load_backend(name)
        profiled = ProfiledBackend(backend, recorder)
        assert isinstance(profiled, Engine)
        assert (profiled.name, profiled.rates, profiled.n_threads(1)) == (name, backend.rates, 1)
        with profiled.threads(1):
            pass
    assert recorder.spans() == []


def test_counts_and_bytes(rng: np.random.Generator, recorder: Recorder) -> None:
    X = rng.standard_normal((N, D))
    y = (rng.random(N) < 0.5).astype(np.float64)
    engine = ProfiledBackend(load_backend("numpy"), recorder)
    rows = engine.place(X, y, None)
    W = np.zeros(D + 1)
    picked = RowSample(np.arange(6), np.ones(6))
    rows.loss_grad(W)
    rows.descend(W, 0.1, 0.0, 4, True)
    rows.hessian(W, np.zeros(D), np.ones(D), sample=picked)
    rows.hessian(W, np.zeros(D), np.ones(D), precision="float64")
    sample = rows.sample(picked)
    sample.hessian_product(W, W)
    engine.small_fit(rows, 0.1, True, 1e-8, 10)
    spans = recorder.spans()
    assert [span.name for span in spans if span.track == STAGES] == ["take rows"]
    details = [span.details for span in spans if span.track == QUESTIONS]
    size, tenth = 8 * N * D, 8 * N * D // 10
    p = D + 1

    def listed(key: str) -> list[Any]:
        return [one[key] for one in details]

    assert listed("rows") == [N, N, 6, N, 6, 6, N]
    assert listed("sampled") == [False, False, True, False, True, True, False]
    np.testing.assert_allclose(listed("reads"), [1, 4, 0.1, 1, 0.1, 0.1, 0], atol=1e-12)
    assert listed("bytes") == [size, 4 * size, tenth, size, tenth, tenth, 0]
    hessian = 4 * D + p * (p + 1)
    assert listed("flops") == [4 * N * D, 16 * N * D, 6 * hessian, N * hessian, 0, 6 * 6 * D, 0]
    assert listed("arithmetic") == [
        "float64", "float64", "float32", "float64", "float64", "float64", "float64",
    ]  # fmt: skip
    assert listed("answered") == [True] * 6 + [False]


def test_an_answer_that_an_earlier_read_left_is_worth_no_flops(
    rng: np.random.Generator, recorder: Recorder
) -> None:
    """Or a look at a number would be thousands of times faster than the machine can multiply."""
    X, y = rng.standard_normal((N, D)), (rng.random(N) < 0.5).astype(np.float64)
    rows = ProfiledBackend(load_backend("numba"), recorder).place(X, y, None)
    centre, scale = np.zeros(D), np.ones(D)
    rows.longest_row(centre, scale)
    rows.hessian(np.zeros(D + 1), centre, scale)
    rows.longest_row(centre, scale)
    first, _, again = [span.details for span in recorder.spans() if span.track == QUESTIONS]
    assert (first["reads"], first["flops"]) == (1, 3 * N * D)
    assert (again["reads"], again["flops"]) == (0, 0)


def test_flops_of_every_formula() -> None:
    """Against sums written out for 3 rows of 2 features."""
    W = np.zeros(3)
    asked = arguments_of(AmongRows, "combination", (np.zeros(3),), {})
    assert flops("combination", 3, 2, asked, None) == 3 * 2 * 2
    assert flops("gram", 3, 2, {}, None) == 3 * 2 + 6 * 2 * 2  # centring; six dot products of two terms
    assert flops("hessian_diagonal", 3, 2, {}, W) == 3 * 2 * 5
    assert flops("logits", 3, 2, {}, None) == 12
    assert flops("largest_entry", 3, 2, {}, None) == 6
    assert flops("sample", 3, 2, {}, None) == flops("a question of tomorrow", 3, 2, {}, None) == 0


def test_sparse_rows_are_counted_by_their_bytes(recorder: Recorder) -> None:
    X = Csr(np.ones(3), np.array([0, 1, 2], np.int32), np.array([0, 1, 2, 3], np.int32), (3, 4))
    y = np.array([0.0, 1.0, 1.0])
    ProfiledBackend(load_backend("numpy"), recorder).place(X, y, None).loss_grad(np.zeros(5))
    assert recorder.spans()[-1].details["bytes"] == X.nbytes


def test_a_fit_through_the_stand_in_is_the_same_fit(rng: np.random.Generator, recorder: Recorder) -> None:
    X = rng.standard_normal((200, 3))
    y = X[:, 0] + rng.standard_normal(200) > 0
    plain = LogisticRegression(backend="numpy").fit(X, y)
    backend = load_backend("numpy")
    with stand_in(ProfiledBackend(backend, recorder)):
        profiled = LogisticRegression(backend="numpy").fit(X, y)
        assert load_backend("numpy") is not backend
    assert load_backend("numpy") is backend
    np.testing.assert_allclose(profiled.coef_, plain.coef_, rtol=1e-12)
    assert profiled.history_["reads"].tolist() == plain.history_["reads"].tolist()
    assert "loss_grad" in {span.name for span in recorder.spans()}


def test_the_engine_comes_back_after_an_error(recorder: Recorder) -> None:
    backend = load_backend("numpy")
    with pytest.raises(ZeroDivisionError), stand_in(ProfiledBackend(backend, recorder)):
        raise ZeroDivisionError
    assert load_backend("numpy") is backend


def test_a_question_that_fails_is_still_closed(rng: np.random.Generator) -> None:
    said: list[str] = []
    recorder = Recorder(Watch(), Ranges(said.append, lambda: said.append("pop")))
    rows = ProfiledBackend(load_backend("numpy"), recorder).place(rng.random((4, 2)), np.ones(4), None)
    with pytest.raises(AssertionError):
        rows.loss_grad(np.zeros(9))
    assert said == ["take rows", "pop", "loss_grad", "pop"]
    assert [span.name for span in recorder.spans()] == ["take rows", "loss_grad"]


# ---- NVTX ---------------------------------------------------------------------------------------------


class PlayedNvtx:
    """The package nvtx, and CuPy's module of the same name."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.push_range = self.RangePush = self.said.append
        self.pop_range = self.RangePop = lambda: self.said.append("pop")


@pytest.fixture
def nvtx(monkeypatch: pytest.MonkeyPatch) -> dict[str, PlayedNvtx]:
    """Where NVTX is: module → what plays it; nowhere, unless a test puts it there."""
    there: dict[str, PlayedNvtx] = {}

    def find(name: str) -> PlayedNvtx:
        if name not in there:
            raise ImportError(name)
        return there[name]

    monkeypatch.setattr(record, "import_module", find)
    return there


@pytest.mark.parametrize(
    ("engine", "module"), [("numba", "nvtx"), ("cupy", "cupy.cuda.nvtx"), ("cupy", "nvtx")]
)
def test_ranges_go_through_what_is_there(engine: str, module: str, nvtx: dict[str, PlayedNvtx]) -> None:
    nvtx[module] = PlayedNvtx()
    ranges = nvtx_ranges(engine)
    assert ranges.source == module
    recorder = Recorder(Watch(), ranges)
    with recorder.span(STAGES, "outer"), recorder.span(QUESTIONS, "inner"), recorder.span("kernels", "k"):
        pass
    assert nvtx[module].said == ["outer", "inner", "pop", "pop"]  # kernels have their own row in Nsight


@pytest.mark.usefixtures("nvtx")
@pytest.mark.parametrize("engine", ["numpy", "cupy"])
def test_without_nvtx_nothing_is_said(engine: str) -> None:
    ranges = nvtx_ranges(engine)
    ranges.push("x")
    ranges.pop()
    assert ranges.source == ""


def test_a_copy_in_few_bits_is_recorded_under_its_own_name(
    recorder: Recorder, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "LEAST_FOR_QUANTISED", 1)
    X = rng.standard_normal((64, 128))
    y = (rng.random(64) < 0.5).astype(np.int8)
    rows = ProfiledBackend(load_backend("numba"), recorder).place(X, y, None)
    rough = rows.quantised(np.zeros(128), np.ones(128))
    own = load_backend("numba").place(X, y, None).quantised(np.zeros(128), np.ones(128))
    assert own is not None
    U = rng.standard_normal(129)
    assert np.array_equal(rough.loss_grad(U)[1], own.loss_grad(U)[1])
    assert np.array_equal(rough.hessian_product(U, U), own.hessian_product(U, U))
    spans = [span for span in recorder.spans() if span.name.startswith("rough ")]
    assert [span.name for span in spans] == ["rough loss_grad", "rough hessian_product"]
    assert [span.details["bytes"] for span in spans] == [X.size] * 2
