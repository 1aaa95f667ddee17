"""A fit to X in parts is the fit to X in memory: every kind of source, penalty, engine; and its bits."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from scipy import sparse
from support.parted_problems import DENSE, SPARSE, Batches, problem, thinned

from accel_logreg import LogisticRegression, LogisticRegressionCV, SeparationWarning
from accel_logreg.backends.parted import store
from accel_logreg.interface.engine import Engine
from accel_logreg.sources import open_source, source
from accel_logreg.sources.memory import default_memory

MEMORY = "21MB"  # with parts of 32 KiB, room for some of them


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "PART_BYTES", 1 << 15)


def fitted(X: Any, y: Any = None, s: Any = None, **settings: Any) -> LogisticRegression:
    settings = {"max_memory": MEMORY, "tol": 1e-12, "backend": "numpy", **settings}
    return LogisticRegression(**settings).fit(X, y, s)


def assert_same_fit(found: LogisticRegression, expected: LogisticRegression) -> None:
    assert found.gap_ <= found.tol
    np.testing.assert_allclose(found.coef_, expected.coef_, rtol=0, atol=3e-6)
    np.testing.assert_allclose(found.intercept_, expected.intercept_, rtol=0, atol=3e-6)
    np.testing.assert_array_equal(found.classes_, expected.classes_)
    J = [model.history_["cost"][-1] for model in (found, expected)]
    assert J[0] == pytest.approx(J[1], rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("kind", [*DENSE, *SPARSE])
def test_every_source_is_the_array(kind: str, weighted: bool, tmp_path: Path) -> None:
    X, y, s = problem()
    X = thinned(X) if kind in SPARSE else X
    made = (DENSE | SPARSE)[kind](tmp_path, X, y, s)
    if not weighted:
        if made[2] is None:
            return  # batches bring their weights along
        made = (made[0], made[1], None)
        if kind in ("parquet", "dataset", "feather"):
            X = np.column_stack([X, s]).astype(X.dtype)  # then w is a column as others are
            made = (*DENSE[kind](tmp_path, X[:, :-1], y, s.astype(X.dtype))[:2], None)
    array = sparse.csr_matrix(X) if kind in SPARSE else X
    expected = fitted(array, y, s if weighted else None)
    found = fitted(*made, max_memory=1 << 20 if kind == "memmap" else MEMORY) if kind != "memmap" else None
    if found is None:
        sourced = open_source(*made, max_memory=X.nbytes - 1)
        assert sourced is not None
        found = fitted(sourced.X, y, made[2])
    assert_same_fit(found, expected)
    assert 2.0 <= found.history_["reads"][-1] <= (60.0 if kind in SPARSE else 8.0)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"C": float("inf")},
        {"fit_intercept": False, "C": 0.01},
        {"class_weight": "balanced"},
        {"l1_ratio": 1.0, "C": 0.01},
        {"l1_ratio": 0.5, "C": 0.01, "positive": True},
        {"solver": "lbfgs", "tol": 1e-9},
        {"solver": "newton-cg"},
        {"solver": "gradient-descent", "tol": 1e-3, "max_iter": 150},
    ],
    ids=str,
)
def test_every_penalty_and_solver(settings: dict[str, Any]) -> None:
    X, y, s = problem()
    if "gradient" in settings.get("solver", ""):
        X = X - X.mean(axis=0)
    tol = settings.get("tol", 1e-12)
    found, expected = fitted(Batches(X, y, s), **settings), fitted(X, y, s, **settings)
    assert found.gap_ <= tol
    np.testing.assert_allclose(found.coef_, expected.coef_, rtol=0, atol=max(3e-6, 30 * tol**0.5))


@pytest.mark.parametrize("settings", [{}, {"multi_class": "ovr"}, {"l1_ratio": 1.0, "C": 0.01}], ids=str)
@pytest.mark.parametrize("layout", ["dense", "csr"])
def test_three_classes(layout: str, settings: dict[str, Any]) -> None:
    X, y, s = problem()
    X = sparse.csr_matrix(thinned(X)) if layout == "csr" else X
    y = y + (np.arange(len(y)) % 3 == 0)
    settings = {"tol": 1e-10, **settings}
    found, expected = fitted(Batches(X, y, s), **settings), fitted(X, y, s, **settings)
    assert found.gap_ <= 1e-10
    np.testing.assert_allclose(found.coef_, expected.coef_, rtol=0, atol=2e-4)


def test_every_engine(backend: Engine, dtype: Any) -> None:
    X, y, s = problem(1500, 5, dtype)
    expected = fitted(X, y, s)
    assert_same_fit(fitted(Batches(X, y, s, rows=400), backend=backend.name), expected)


def test_bits_depend_on_the_data_alone(tmp_path: Path) -> None:
    """Not on the memory, so on how much stays there; not on threads, nor on where the parts come from."""
    X, y, s = problem()
    made = DENSE["npy"](tmp_path, X, y, s)
    kept, found = set(), set()
    for more in (0, 100_000, 10**9):
        for n_threads in (1, 2):
            sourced = open_source(*made)
            assert sourced is not None
            least = sum(store.memory_needed(sourced.X, 9 * len(y), 1).values())
            model = fitted(sourced.X, y, s, max_memory=least + more, n_threads=n_threads, backend="numba")
            kept.add(sourced.X.kept_bytes)
            found.add(model.coef_.tobytes() + model.intercept_.tobytes())
    rows = np.diff(sourced.X.bounds)[0]
    again = fitted(Batches(X, y, s, rows=int(rows)), backend="numba")
    found.add(again.coef_.tobytes() + again.intercept_.tobytes())
    assert len(kept) == 3
    assert min(kept) == 0
    assert max(kept) == X.nbytes
    assert len(found) == 1


def test_few_reads_of_tall_rows() -> None:
    """Rows sorted by a column that matters, and a rare class."""
    X, y, _ = problem(60_000, 4)
    assert fitted(Batches(X, y, rows=4000), tol=1e-8).history_["reads"][-1] <= 4.0
    rare = (np.arange(len(y)) % 300 == 0).astype(int) * y
    assert fitted(Batches(X, rare, rows=4000), tol=1e-8).history_["reads"][-1] <= 6.0


def test_passes_are_the_reads_that_are_counted() -> None:
    X, y, s = problem()
    batches = Batches(X, y, s)
    model = fitted(batches)
    assert batches.passes == 1 + model.history_["reads"][-1]  # the first learns y and the sizes


@pytest.mark.parametrize("scoring", [None, "neg_log_loss"])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_validation(scoring: str | None, weighted: bool) -> None:
    X, y, s = problem()
    s = s if weighted else None
    settings: dict[str, Any] = {"Cs": [1e-4, 1e-2, 1.0], "scoring": scoring, "use_legacy_attributes": False}
    batches = Batches(X, y, s) if weighted else Batches(X, y)
    found = LogisticRegressionCV(**settings, max_memory=MEMORY).fit(batches)
    expected = LogisticRegressionCV(**settings).fit(X, y, s)
    assert found.C_ == expected.C_
    np.testing.assert_allclose(
        found.scores_, expected.scores_, rtol=0, atol=2e-3 if scoring is None else 1e-4
    )
    np.testing.assert_allclose(found.coef_, expected.coef_, rtol=0, atol=2e-3)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("scoring", [None, "neg_log_loss"])
def test_cross_validation_of_three_classes(scoring: str | None, weighted: bool) -> None:
    X, y, s = problem(2000)
    y = y + (X[:, 1] > 2)
    s = s if weighted else None
    settings: dict[str, Any] = {"Cs": [1e-3, 1.0], "cv": 3, "use_legacy_attributes": False, "tol": 1e-10}
    settings["scoring"] = scoring
    batches = Batches(X, y, s) if weighted else Batches(X, y)
    found = LogisticRegressionCV(**settings, max_memory=MEMORY).fit(batches)
    expected = LogisticRegressionCV(**settings).fit(X, y, s)
    assert found.C_ == expected.C_
    np.testing.assert_allclose(found.scores_, expected.scores_, rtol=0, atol=1e-3)
    np.testing.assert_allclose(found.coef_, expected.coef_, rtol=0, atol=1e-3)


def test_warm_start_goes_on_without_more_than_two_gradients() -> None:
    X, y, _ = problem()
    model = fitted(Batches(X, y), warm_start=True)
    model.fit(Batches(X, y))
    assert model.history_["reads"][-1] <= 3.0


def test_predictions_come_batch_by_batch(tmp_path: Path) -> None:
    X, y, s = problem()
    path, clicked, w = DENSE["parquet"](tmp_path, X, y, s)
    model = fitted(path, clicked, w)
    assert model.feature_names_in_.tolist() == [f"c{j}" for j in range(X.shape[1])]
    in_memory = LogisticRegression(max_memory=None).fit(X, y, s)
    in_memory.coef_, in_memory.intercept_ = model.coef_, model.intercept_
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        batches = list(getattr(model, method)(path))
        assert len(batches) > 3
        np.testing.assert_allclose(np.concatenate(batches), getattr(in_memory, method)(X), rtol=1e-6)
    assert model.score(path, clicked, w) == pytest.approx(in_memory.score(X, y, s))
    assert model.score(path, clicked) == pytest.approx(in_memory.score(X, y))
    thin = sparse.csr_matrix(thinned(X))
    found = np.concatenate(list(in_memory.predict(Batches(thin, y))))
    np.testing.assert_array_equal(found, in_memory.predict(thin))


def test_a_memory_map_that_fits_is_read_in_place(tmp_path: Path) -> None:
    X, y, _ = problem()
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert open_source(mapped, y) is None
    assert open_source(np.load(tmp_path / "X.npy", mmap_mode="c"), y, max_memory=1) is None
    sourced = open_source(mapped, y, max_memory=X.nbytes - 1)
    assert sourced is not None
    np.testing.assert_array_equal(
        np.concatenate([part.copy() for part in sourced.X.scan(range(sourced.X.n_parts))]), X
    )


def test_the_spool_is_read_from_the_second_pass_on(tmp_path: Path) -> None:
    X, y, s = problem()
    batches = Batches(X, y, s)
    model = fitted(batches, spool=tmp_path, max_memory="18MB")
    assert batches.passes == 2  # to learn the sizes, and to write
    assert model.history_["reads"][-1] >= 3.0
    assert list(tmp_path.iterdir()) == []
    plain = fitted(Batches(X, y, s), max_memory="18MB")
    assert plain.coef_.tobytes() == model.coef_.tobytes()


def test_several_fits_at_once(tmp_path: Path) -> None:
    X, y, s = problem()
    made = DENSE["npy"](tmp_path, X, y, s)
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(fitted(*made).coef_.tobytes())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert len(set(found)) == 1


def test_integers_are_float32_where_that_is_exact(tmp_path: Path) -> None:
    X, y, _ = problem()
    for dtype, expected in (
        ("int8", "float32"),
        ("bool", "float32"),
        ("int32", "float64"),
        ("float16", "float32"),
    ):
        np.save(tmp_path / "X.npy", (2 * X).astype(dtype))
        sourced = open_source(tmp_path / "X.npy", y)
        assert sourced is not None
        assert sourced.X.dtype == expected
        assert_same_fit(fitted(sourced.X, y), fitted((2 * X).astype(dtype).astype("f8"), y))


def test_memory_is_reckoned_before_it_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, s = problem()
    made = DENSE["npy"](tmp_path, X, y, s)
    with pytest.raises(
        MemoryError, match=r"a sample of 750 rows.*max_memory is 1 MB. Remedy: max_memory='\d+MB'"
    ) as caught:
        fitted(*made, max_memory="1MB")
    least = str(caught.value).rpartition("'")[0].rpartition("'")[2]
    fitted(*made, max_memory=least)
    monkeypatch.setattr(store, "_WORKSPACE", 1 << 60)
    with pytest.raises(MemoryError):
        fitted(*made, max_memory=None)
    assert default_memory() > 0


@pytest.mark.parametrize("kind", [*DENSE, *SPARSE])
def test_a_part_is_valid_until_the_next_is_asked_for(kind: str, tmp_path: Path) -> None:
    """However far reading is ahead; for every part, for some, and when a scan is given up."""
    X, y, s = problem()
    X = thinned(X) if kind in SPARSE else X
    made = (DENSE | SPARSE)[kind](tmp_path, X, y, s)
    sourced = open_source(*made, max_memory=1)
    assert sourced is not None
    found = sourced.X
    for wanted in (range(found.n_parts), [1, found.n_parts - 1], range(2, found.n_parts)):
        for part, rows in zip(wanted, found.scan(wanted), strict=True):
            time.sleep(0.002)  # what is read ahead is there by now
            expected = X[found.bounds[part] : found.bounds[part + 1]]
            dense = (
                sparse.csr_matrix((rows.data, rows.indices, rows.indptr), rows.shape).toarray()
                if kind in SPARSE
                else rows
            )
            np.testing.assert_array_equal(dense, expected)
    threads = threading.active_count()
    scan = found.scan(range(found.n_parts))
    next(scan)
    scan.close()  # type: ignore[attr-defined]
    assert threading.active_count() <= threads


def test_fewer_rows_than_columns() -> None:
    """Where in memory it would be solved among the rows."""
    X, y, s = problem(150, 200)
    for C in (1e-2, 10.0):
        found = fitted(Batches(X, y, s, rows=40), C=C, tol=1e-10)
        expected = fitted(X, y, s, C=C, tol=1e-12)
        assert found.gap_ <= 1e-10
        np.testing.assert_allclose(found.coef_, expected.coef_, rtol=0, atol=1e-5)
    settings = {"solver": "gradient-descent", "max_iter": 50, "learning_rate": 1e-3, "tol": 1e9}
    steps = fitted(Batches(X, y, s, rows=40), **settings)
    np.testing.assert_allclose(steps.coef_, fitted(X, y, s, **settings).coef_, rtol=1e-9)


def test_classes_that_are_separated_are_said_to_be() -> None:
    """With few numbers the linear program is asked, as in memory."""
    X, _, _ = problem(300, 60)
    with pytest.warns(SeparationWarning, match="perfectly separated"):
        model = fitted(Batches(X, (X[:, 0] > 1.0) * 1), C=float("inf"), tol=1e-8)
    assert model.gap_ == float("inf")
    thin = sparse.csr_matrix(thinned(X))
    with pytest.warns(SeparationWarning):
        fitted(Batches(thin, (thin[:, 0].toarray().ravel() > 1.0) * 1), C=float("inf"), tol=1e-8)


def test_parts_of_one_class_and_parts_without_weight() -> None:
    """A part is a sum: none of them is a special case."""
    X, y, s = problem()
    order = np.argsort(y, kind="stable")
    X, y, s = X[order], y[order], s[order]
    s[1000:3000] = 0.0
    assert_same_fit(fitted(Batches(X, y, s)), fitted(X, y, s))
    three = y + (np.arange(len(y)) > 5500)
    found, expected = fitted(Batches(X, three, s), tol=1e-10), fitted(X, three, s)
    np.testing.assert_allclose(found.coef_, expected.coef_, rtol=0, atol=2e-4)


def test_tables_are_matched_by_name_and_widened_together(tmp_path: Path) -> None:
    """Another order of the columns in one file, and another width of numbers."""
    X, y, _ = problem(3000, 3)
    for number, rows in enumerate(np.array_split(np.arange(3000), 3)):
        columns = {"a": X[rows, 0], "b": X[rows, 1], "c": X[rows, 2], "y": y[rows]}
        if number == 1:
            columns = {name: columns[name] for name in ("y", "c", "a", "b")} | {"more": y[rows]}
        if number == 2:
            columns["b"] = columns["b"].astype(np.float64)
        pa.parquet.write_table(pa.table(columns), tmp_path / f"{number}.parquet")
    sourced = open_source(tmp_path, "y")
    assert sourced is not None
    assert sourced.X.dtype == np.float64
    assert sourced.X.names is not None
    assert sourced.X.names.tolist() == ["a", "b", "c"]
    assert_same_fit(fitted(tmp_path, "y"), fitted(X.astype(np.float64), y))
