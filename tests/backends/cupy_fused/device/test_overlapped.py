"""Rows that are worked on while they are copied: the same bits as after, and no wait can be left out."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.cuda_host.host_device import NO_ROOM, Driver
from support.cuda_host.play_engine import PlayedCupyBackend
from support.cuda_host.queues import LAGGING, Event, PlayedCopies, QueueingDevice
from support.interface_problems import problem

from accel_logreg import LogisticRegression, backends
from accel_logreg.backends.cupy_fused import placement as cupy_fused_place
from accel_logreg.backends.cupy_fused.dense import upload_rows
from accel_logreg.backends.cupy_fused.device import staging as cupy_fused_staging
from accel_logreg.backends.cupy_fused.device.overlapped import Upload
from accel_logreg.backends.cupy_fused.placement import OverlappedRows, place_rows
from accel_logreg.interface.answers import RowSample
from accel_logreg.interface.rows import Rows
from accel_logreg.kernels.cupy_fused.dense.launch import GRADIENT
from accel_logreg.kernels.cupy_fused.dense.plan import Limits

pytest_plugins = ["support.cuda_host.fixtures"]

N, D = 401, 9
SMALL = Limits(2, 6 << 10, 40 << 10)  # many blocks of many tiles


@pytest.fixture(params=LAGGING)
def device(driver: Driver, request: pytest.FixtureRequest) -> QueueingDevice:
    return QueueingDevice(driver, SMALL, lagging=request.param)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cupy_fused_place, "OVERLAP_BYTES", 1)
    monkeypatch.setattr(cupy_fused_staging, "PIECE_BYTES", 1000)
    monkeypatch.setattr(cupy_fused_staging, "LEAST_SHARE_BYTES", 300)


def pair(device: QueueingDevice, rng: np.random.Generator, dtype: Any, weighted: bool) -> tuple[Rows, Rows]:
    """Rows that arrive, and the same ones there."""
    X, y, s = problem(rng, N, D, dtype, weighted)
    rows = place_rows(device, X, y, s)
    assert isinstance(rows, OverlappedRows)
    return rows, upload_rows(device, X, y, s)


def questions(rng: np.random.Generator) -> dict[str, Callable[[Rows], bytes]]:
    W, V, a = rng.normal(size=D + 1), rng.normal(size=D + 1), rng.normal(size=N)
    centre, scale = rng.normal(size=D), 0.5 + rng.random(D)
    picked = RowSample(rng.integers(0, N, 70), rng.random(70))
    unweighted = RowSample(rng.integers(0, N, 70), np.ones(70))

    def loss_grad(rows: Rows) -> bytes:
        loss, gradient = rows.loss_grad(W)
        return np.append(gradient, loss).tobytes()

    return {
        "loss_grad": loss_grad,
        "hessian_product": lambda rows: rows.hessian_product(W, V).tobytes(),
        "hessian_diagonal": lambda rows: rows.hessian_diagonal(W).tobytes(),
        "hessian": lambda rows: rows.hessian(W, centre, scale).tobytes(),
        "hessian of picked": lambda rows: rows.hessian(W, centre, scale, sample=picked).tobytes(),
        "gram": lambda rows: rows.gram(centre).tobytes(),
        "combination": lambda rows: rows.combination(a).tobytes(),
        "largest_entry": lambda rows: np.float64(rows.largest_entry()).tobytes(),
        "descend": lambda rows: rows.descend(W, 0.1, 0.01, 2, True).W.tobytes(),
        "sample": lambda rows: loss_grad(rows.sample(picked)),
        "sample of equal weight": lambda rows: loss_grad(rows.sample(unweighted)),
    }


@pytest.mark.parametrize(
    ("dtype", "weighted"),
    [("float32", True), ("float64", False)],
    ids=["float32, weights", "float64, no weights"],
)
@pytest.mark.parametrize("question", list(questions(np.random.default_rng(0))))
def test_the_first_question_has_the_same_bits_as_when_all_is_there(
    device: QueueingDevice, dtype: Any, rng: np.random.Generator, weighted: bool, question: str
) -> None:
    arriving, there = pair(device, rng, dtype, weighted)
    ask = questions(rng)[question]
    expected = ask(there)
    assert ask(arriving) == expected
    assert ask(arriving) == expected
    ask(there)
    assert arriving.reads == pytest.approx(there.reads)


def test_a_first_pass_in_stretches(driver: Driver, rng: np.random.Generator) -> None:
    """Blocks are launched before the last rows have been sent, and again behind them."""
    device = QueueingDevice(driver, SMALL)
    gate = threading.Event()
    let_go_after = [10]

    class Gated(PlayedCopies):
        def send(self, source: Any, target: Any) -> Event:
            let_go_after[0] -= 1
            if let_go_after[0] == 0:
                assert gate.wait(60)
            return super().send(source, target)

    device.copies = lambda: Gated(device)  # type: ignore[method-assign]
    X, y, s = problem(rng, N, D, np.float32, weighted=True)
    W = rng.normal(size=D + 1)
    rows = place_rows(device, X, y, s)
    launch = device.launch

    def opening(kernel: str, *args: Any) -> None:
        launch(kernel, *args)
        gate.set()

    device.launch = opening  # type: ignore[method-assign]
    loss, gradient = rows.loss_grad(W)
    assert device.launched.count("gradient_float32") > 1
    true_loss, true_gradient = upload_rows(device, X, y, s).loss_grad(W)
    assert loss == true_loss
    assert gradient.tobytes() == true_gradient.tobytes()


def test_two_reads_wait_for_all_rows(driver: Driver, dtype: Any, rng: np.random.Generator) -> None:
    device = QueueingDevice(driver, NO_ROOM)
    arriving, there = pair(device, rng, dtype, weighted=True)
    ask = questions(rng)["loss_grad"]
    assert ask(arriving) == ask(there)
    assert arriving.reads == 2


@pytest.mark.parametrize("lagging", LAGGING)
def test_a_fit_of_rows_that_arrive_has_the_same_bits(
    driver: Driver, rng: np.random.Generator, lagging: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    X = rng.normal(size=(2000, 2))
    y = X[:, 0] + rng.normal(size=2000) > 0.3
    models = []
    for least in (1, X.nbytes + 1):
        monkeypatch.setattr(cupy_fused_place, "OVERLAP_BYTES", least)
        engine = PlayedCupyBackend(driver)
        engine._device = QueueingDevice(driver, SMALL, lagging=lagging)
        monkeypatch.setitem(backends._loaded, "cupy", engine)
        models.append(LogisticRegression(backend="cupy", solver="newton").fit(X, y))
        assert engine._device.idle
    assert models[0].coef_.tobytes() == models[1].coef_.tobytes()
    np.testing.assert_array_equal(models[0].history_["reads"], models[1].history_["reads"])


@pytest.mark.parametrize("missing", ["wait", "before_kernels"])
def test_the_check_notices_a_missing_wait(
    driver: Driver, rng: np.random.Generator, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PlayedCopies, missing, lambda _self, _sent: None)
    monkeypatch.setattr(PlayedCopies, "finish", lambda _self: None)  # which would make up for it in time
    arriving, there = pair(QueueingDevice(driver, SMALL), rng, np.float64, weighted=False)
    ask = questions(rng)["loss_grad"]
    assert ask(arriving) != ask(there)


def test_the_check_notices_copies_that_do_not_wait_for_kernels(
    driver: Driver, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel still reads the memory that X is given."""
    X, y, _ = problem(rng, N, D, np.float64, weighted=False)
    W = rng.normal(size=D + 1)

    def earlier_answer() -> Any:
        device = QueueingDevice(driver, SMALL, lagging="kernels")
        before = upload_rows(device, X + 1.0, y, None).data
        w, answer = device.upload(W), device.empty(D + 2)
        before.launch(GRADIENT, w, None, answer)
        upload = Upload(device.copies(), X, before.X.reshape(-1))
        sent, _ = upload.beyond(N - 1)
        upload.wait(sent)
        np.testing.assert_array_equal(before.X, X)
        return device.download(answer)

    right = earlier_answer()
    monkeypatch.setattr(PlayedCopies, "after_kernels", lambda _self: None)
    assert not np.array_equal(earlier_answer(), right)


def test_an_error_in_the_thread_is_raised_where_somebody_waits(
    driver: Driver, rng: np.random.Generator
) -> None:
    class Failing(PlayedCopies):
        def wait(self, _sent: Event) -> None:
            raise RuntimeError("cudaErrorLaunchFailure")

    device = QueueingDevice(driver, SMALL)
    device.copies = lambda: Failing(device)  # type: ignore[method-assign]
    X, y, s = problem(rng, N, D, np.float64, weighted=False)
    rows = place_rows(device, X, y, s)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="cudaErrorLaunchFailure"):
            rows.largest_entry()


def test_host_rows_are_let_go_when_they_are_on_the_device(
    device: QueueingDevice, rng: np.random.Generator
) -> None:
    X, y, _ = problem(rng, N, D, np.float64, weighted=False)
    gone = weakref.ref(X)
    rows = place_rows(device, X, y, None)
    del X
    rows.largest_entry()
    for thread in threading.enumerate():
        if thread.name == "accel_logreg_upload":
            thread.join(60)
    gc.collect()
    assert gone() is None


def test_an_upload_that_nobody_waits_for_ends(driver: Driver, rng: np.random.Generator) -> None:
    device = QueueingDevice(driver, SMALL)
    sent = []

    class Slow(PlayedCopies):
        def send(self, source: Any, target: Any) -> Event:
            sent.append(1)
            if len(sent) == 2:
                assert gone.wait(60)
            return super().send(source, target)

    gone = threading.Event()
    device.copies = lambda: Slow(device)  # type: ignore[method-assign]
    X, y, _ = problem(rng, N, D, np.float64, weighted=False)
    rows = place_rows(device, X, y, None)
    threads = [thread for thread in threading.enumerate() if thread.name == "accel_logreg_upload"]
    del rows
    gone.set()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert len(sent) < X.nbytes // 1000
    assert device.used == 0
