"""X as a Dask collection: the fit in memory, on Dask's threads, on a cluster; the same bits whatever happens.

One cluster of processes for all tests here; workers are killed by their process numbers and come back.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from support.parted_problems import problem, thinned

from accel_logreg import FitInterruptedError, LogisticRegression, LogisticRegressionCV
from accel_logreg.backends.parted import dask_store
from accel_logreg.interface.parted_matrix import SourceError

dask = pytest.importorskip("dask", reason="Dask is not installed")
distributed = pytest.importorskip("distributed", reason="distributed is not installed")
da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe", reason="Dask's data frames need pandas")
pd = pytest.importorskip("pandas")

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore:.*fork:DeprecationWarning")
X, Y, S = problem(12_000)
ROWS = 1000  # of a block


def processes(workers: int = 2, threads: int = 1) -> Any:
    """A cluster on this machine."""
    how = {"threads_per_worker": threads, "dashboard_address": ":0", "silence_logs": 60}
    return distributed.LocalCluster(n_workers=workers, **how)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with processes() as made:
        yield made


@pytest.fixture
def client(cluster: Any) -> Iterator[Any]:
    with distributed.Client(cluster) as made:
        made.wait_for_workers(2, timeout=60)
        yield made


def fitted(X: Any, y: Any, s: Any = None, **settings: Any) -> LogisticRegression:
    return LogisticRegression(**{"backend": "numba", "tol": 1e-10, **settings}).fit(X, y, s)


def bits(model: LogisticRegression) -> bytes:
    return model.coef_.tobytes() + model.intercept_.tobytes()


def array(X: Any = X, rows: int = ROWS, **how: Any) -> Any:
    return da.from_array(X, chunks=(rows, *X.shape[1:]), **how)


def unknown(X: Any) -> Any:
    """Blocks of lengths that nobody knows."""
    blocks = [dask.delayed(X[first : first + ROWS]) for first in range(0, len(X), ROWS)]
    return da.concatenate([da.from_delayed(b, (np.nan, *X.shape[1:]), X.dtype) for b in blocks])


@pytest.fixture(scope="module")
def expected() -> bytes:
    """What Dask's threads find, without a cluster."""
    return bits(fitted(array(), array(Y), array(S)))


COLLECTIONS: dict[str, Callable[[], tuple[Any, Any, Any]]] = {
    "known": lambda: (array(), array(Y), array(S)),
    "y in memory": lambda: (array(), Y, S),
    "in columns": lambda: (array().rechunk((ROWS, 5)), array(Y), array(S)),
    "unknown lengths": lambda: (unknown(X), unknown(Y), unknown(S)),
    "other rows of y": lambda: (array(), array(Y, 700), array(S, 5000)),
    "column order": lambda: (array().map_blocks(np.asfortranarray), Y, S),
    "frame": lambda: (
        dd.from_pandas(pd.DataFrame(X), npartitions=12),
        dd.from_pandas(pd.Series(Y), npartitions=12),
        S,
    ),
}


@pytest.mark.parametrize("what", COLLECTIONS)
@pytest.mark.parametrize("where", ["threads", "cluster"])
def test_any_collection_anywhere_finds_the_same_bits(
    what: str, where: str, expected: bytes, request: pytest.FixtureRequest
) -> None:
    if where == "cluster":
        request.getfixturevalue("client")
    model = fitted(*COLLECTIONS[what]())
    if what == "frame":  # whose partitions are cut elsewhere
        np.testing.assert_allclose(model.coef_, np.frombuffer(expected)[:-1][None], rtol=1e-6)
    else:
        assert bits(model) == expected
    assert ("2 workers" if where == "cluster" else "Dask's threads") in model.source_


def test_it_is_the_fit_in_memory(expected: bytes) -> None:
    in_memory = fitted(X, Y, S, tol=1e-12)
    found = np.frombuffer(expected)
    np.testing.assert_allclose(found[:-1], in_memory.coef_[0], rtol=0, atol=2e-5)
    with dask.config.set(scheduler="synchronous"):
        assert bits(fitted(array(), array(Y), array(S))) == expected


@pytest.mark.parametrize("layout", ["dense", "csr"])
@pytest.mark.parametrize(
    "settings", [{}, {"l1_ratio": 1.0, "C": 0.01}, {"solver": "lbfgs", "tol": 1e-8}], ids=str
)
def test_layouts_penalties_and_classes(layout: str, settings: dict[str, Any]) -> None:
    given = thinned(X)[:4000] if layout == "csr" else X[:4000]
    blocks: Any = array(given)
    if layout == "csr":
        blocks = blocks.map_blocks(sparse.csr_matrix)
    for y in (Y[:4000], Y[:4000] + (np.arange(4000) % 3 == 0)):
        found = fitted(blocks, y, backend="numpy", **settings)
        plain: Any = sparse.csr_matrix(given) if layout == "csr" else given
        other = fitted(plain, y, backend="numpy", **settings)
        np.testing.assert_allclose(found.coef_, other.coef_, rtol=0, atol=2e-3)
        assert found.gap_ <= found.tol


def test_cross_validation() -> None:
    settings: dict[str, Any] = {"Cs": [1e-3, 1.0], "cv": 3, "use_legacy_attributes": False}
    found = LogisticRegressionCV(**settings).fit(array(), array(Y))
    other = LogisticRegressionCV(**settings).fit(X, Y)
    assert found.C_ == other.C_
    np.testing.assert_allclose(found.scores_, other.scores_, atol=2e-3)


def test_predictions_are_lazy(client: Any) -> None:  # noqa: ARG001
    model = fitted(array(), Y)
    three = fitted(array(), Y + (X[:, 1] > 2))
    frame = fitted(dd.from_pandas(pd.DataFrame(X, columns=list("abcdefghijkl")), npartitions=5), Y)
    for one, given in ((model, array()), (three, array().rechunk((700, 4))), (model, unknown(X))):
        for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
            answer = getattr(one, method)(given)
            assert isinstance(answer, da.Array)
            now = getattr(one, method)(X)
            assert answer.dtype == now.dtype
            assert answer.ndim == now.ndim
            np.testing.assert_allclose(answer.compute(), now, rtol=1e-12)
    other_order = dd.from_pandas(pd.DataFrame(X[:, ::-1], columns=list("lkjihgfedcba")), npartitions=3)
    np.testing.assert_array_equal(frame.predict(other_order).compute(), model.predict(X))
    assert model.score(array(), array(Y)) == model.score(X, Y)
    assert model.score(array(), Y, S) == pytest.approx(model.score(X, Y, S))


# ---- what goes wrong -----------------------------------------------------------------------------------


def _when(
    monkeypatch: pytest.MonkeyPatch, name: str, do: Callable[[], None], after: float = 0.02
) -> list[str]:
    """``do`` once while the tasks of this name are under way; the names that were asked for."""
    asked: list[str] = []
    compute = dask_store.compute

    def watched(tasks: list[Any], client: Any, what: str) -> list[Any]:
        asked.append(what.partition(" ")[0])
        if asked[-1] == name and asked.count(name) == 1:
            threading.Timer(after, do).start()
        return compute(tasks, client, what)

    monkeypatch.setattr(dask_store, "compute", watched)
    return asked


def _slow(block: Any) -> Any:
    time.sleep(0.03)
    return block


def _kill(pids: list[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("which", "when"),
    [("one", "sample"), ("one", "gradient-hessian"), ("all", "gradient-hessian"), ("all", "gradient")],
)
def test_killed_workers_change_nothing(
    when: str, which: str, client: Any, expected: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids = list(client.run(os.getpid).values())
    asked = _when(monkeypatch, when, lambda: _kill(pids[:1] if which == "one" else pids))
    assert bits(fitted(array().map_blocks(_slow), array(Y), array(S))) == expected
    assert when in asked


def test_persisted_blocks_of_a_lost_worker_are_made_again(client: Any, expected: bytes) -> None:
    persisted = client.persist(array())
    distributed.wait(persisted)
    _kill(list(client.run(os.getpid).values())[:1])
    assert bits(fitted(persisted, Y, S)) == expected


def test_a_cluster_of_another_shape_and_a_worker_that_leaves(
    expected: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with processes(3, threads=2) as cluster, distributed.Client(cluster) as client:
        assert bits(fitted(array(), array(Y), array(S))) == expected
        name = next(iter(client.scheduler_info(n_workers=-1)["workers"]))
        _when(monkeypatch, "gradient-hessian", lambda: client.retire_workers([name]))
        assert bits(fitted(array().map_blocks(_slow), Y, S)) == expected


def test_nothing_of_a_fit_stays_on_the_scheduler(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def tasks() -> int:
        return int(client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)))

    fitted(array(), Y)

    def interrupt() -> None:
        signal.raise_signal(signal.SIGINT)

    _when(monkeypatch, "gradient-hessian", interrupt, 0.1)
    estimator = LogisticRegression()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(array().map_blocks(_slow), Y)
    assert time.monotonic() - began < 5.0
    assert not hasattr(estimator, "coef_")
    for _ in range(100):
        if tasks() == 0:
            break
        time.sleep(0.05)
    assert tasks() == 0


def test_without_workers_a_fit_ends_and_tells_its_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_store, "PATIENCE", 1.0)
    with processes(1) as cluster, distributed.Client(cluster):
        _when(monkeypatch, "gradient-hessian", lambda: cluster.scale(0), 0.0)
        with pytest.raises(FitInterruptedError, match=r"there was no worker for 1 s\. Start some") as caught:
            fitted(array().map_blocks(_slow), Y, S)
    assert caught.value.W.shape == (13,)


def test_a_scheduler_that_dies_ends_the_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    with processes(1) as cluster, distributed.Client(cluster):
        _when(monkeypatch, "gradient-hessian", cluster.close, 0.0)
        with pytest.raises((FitInterruptedError, distributed.core.CommClosedError, RuntimeError)):
            fitted(array().map_blocks(_slow), Y, S)


def _deadly(block: Any) -> Any:
    if distributed.get_worker() and len(block) and block[0, 0] == X[5 * ROWS, 0]:
        os._exit(1)
    return block


def test_a_part_that_kills_its_workers_is_told(
    cluster: Any, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The default of 3 takes long, and now and then a worker that dies as it starts is not started again.
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", 1)
    said = r"killed one worker after the other.*rechunk X to fewer rows a block"
    with pytest.raises(SourceError, match=said):
        fitted(array().map_blocks(_deadly, meta=X[:0]), Y)
    client.wait_for_workers(2, timeout=60)


def test_a_source_that_is_not_the_same_again_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng()

    def other(block: Any) -> Any:
        return block + random.standard_normal()

    monkeypatch.setattr("accel_logreg.sources.dask_collections.default_memory", lambda: 0)
    estimator, changing = LogisticRegression(max_memory="1GB"), array().map_blocks(other, meta=X[:0])
    said = "part 0 of the Dask array changed between two reads"
    with dask.config.set(scheduler="synchronous"), pytest.raises(FitInterruptedError, match=said):
        estimator.fit(changing, Y)


def test_parts_that_fail_are_not_swallowed() -> None:
    def fails(block: Any, block_info: Any = None) -> Any:
        if block_info and block_info[0]["chunk-location"][0] == 7:
            raise RuntimeError("the store has no part 7")
        return block

    with pytest.raises(RuntimeError, match="has no part 7"):
        fitted(array().map_blocks(fails, meta=X[:0], dtype=X.dtype), Y)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (
            lambda: (array(np.where(np.arange(12) == 3, np.nan, X)), Y),
            ValueError,
            "NaN: part 0.*row 0, column 3",
        ),
        (lambda: (array(X[:, 0]), Y), ValueError, "has 1 dimensions; X is"),
        (lambda: (array(), array(Y[1:])), ValueError, "has 12000 rows, and y has 11999"),
        (lambda: (array(X.astype("c8")), Y), TypeError, "dtype complex64; allowed are"),
        (lambda: (array(), np.zeros(len(X))), ValueError, "one class"),
        (
            lambda: (
                dd.from_pandas(pd.DataFrame({"a": ["x"] * 9, "b": range(9)}), npartitions=2),
                np.arange(9) % 2,
            ),
            TypeError,
            "column 'a' of the Dask data frame is of type",
        ),
    ],
)
def test_bad_input(given: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        fitted(*given())


def test_empty_blocks_and_blocks_of_one_class(client: Any) -> None:  # noqa: ARG001
    order = np.argsort(Y, kind="stable")
    parts = [X[order][:5000], X[:0], X[order][5000:5001], X[order][5001:]]
    blocks = da.concatenate([da.from_delayed(dask.delayed(p), (np.nan, 12), X.dtype) for p in parts])
    found = fitted(blocks, Y[order])
    np.testing.assert_allclose(found.coef_, fitted(X, Y).coef_, rtol=0, atol=2e-4)


def test_a_fit_inside_a_task(client: Any, expected: bytes) -> None:
    def inside() -> bytes:
        return bits(fitted(array(), Y, S))

    assert client.submit(inside, pure=False).result(timeout=120) == expected


_ASYNC = """
import asyncio, numpy as np, dask.array as da
from distributed import Client, LocalCluster
from accel_logreg import LogisticRegression

async def main():
    async with LocalCluster(processes=False, asynchronous=True, dashboard_address=None) as cluster:
        async with Client(cluster, asynchronous=True):
            X = da.from_array(np.random.default_rng(0).standard_normal((100, 3)), chunks=50)
            try:
                LogisticRegression().fit(X, np.arange(100) % 2)
            except ValueError as error:
                print(error)

asyncio.run(main())
"""


def test_an_asynchronous_client_is_refused_with_the_remedy() -> None:
    ran = subprocess.run([sys.executable, "-c", _ASYNC], capture_output=True, text=True, check=True)
    assert "await asyncio.to_thread(model.fit, X, y)" in ran.stdout
