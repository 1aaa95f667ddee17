"""The double buffer: parts and pieces in order, overlap, and every wait shown to be needed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.cuda_host.host_device import ONE_MULTIPROCESSOR, Driver
from support.cuda_host.play_engine import PlayedCupyBackend
from support.cuda_host.queues import LAGGING, PlayedCopies, QueueingDevice
from support.interface_problems import problem

from accel_logreg import LogisticRegression, prediction
from accel_logreg.backends.cupy_fused.device import slots as cupy_fused_slots
from accel_logreg.backends.cupy_fused.device import staging as cupy_fused_staging
from accel_logreg.backends.cupy_fused.device.slots import Parts, logits, piece_rows
from accel_logreg.backends.cupy_fused.device.staging import HostRows, Packer, PinnedPair, send_rows
from accel_logreg.backends.python_loop.dense import PythonRows
from accel_logreg.backends.python_loop.engine import PythonEngine
from accel_logreg.kernels.cupy_fused.dense.launch import GRADIENT, Resident

pytest_plugins = ["support.cuda_host.fixtures"]

N, D = 95, 6


def gradient_in_parts(device: QueueingDevice, host: HostRows, W: Any, rows: int, first: int = 0) -> Any:
    """(∂J, J) by parts, with every part's kernels launched and none waited for before the last."""
    parts = Parts(device, host, rows, Packer(threads=1))
    w, answers = device.upload(W), []

    def work(part: Resident, _rows: slice) -> None:
        answers.append(device.empty(D + 2))
        part.launch(GRADIENT, w, None, answers[-1])

    parts.each(first, len(host.y), work)
    return sum(device.download(answer) for answer in answers)


def expected(host: HostRows, W: Any, first: int = 0) -> Any:
    s = None if host.s is None else host.s[first:]
    y = host.y[first:].astype(np.float64)
    loss, gradient = PythonRows(host.X[first:], y, s).loss_grad(W)
    part = float(len(y)) if s is None else float(s.sum())
    return np.append(gradient, loss) * (part / host.weight_sum)


@pytest.mark.parametrize("lagging", LAGGING)
@pytest.mark.parametrize("weighted", [True, False], ids=["weights", "no weights"])
@pytest.mark.parametrize(("rows", "first"), [(1, 80), (19, 0), (47, 0), (31, 0), (94, 1), (94, 0), (95, 0)])
def test_the_sum_of_the_parts(
    driver: Driver,
    dtype: Any,
    rng: np.random.Generator,
    lagging: str,
    weighted: bool,
    rows: int,
    first: int,
) -> None:
    """Parts of one row, a last part that is whole, of one row or missing, and one part alone."""
    device = QueueingDevice(driver, ONE_MULTIPROCESSOR, lagging=lagging)
    host, W = HostRows.of(*problem(rng, N, D, dtype, weighted)), rng.normal(size=D + 1)
    found = gradient_in_parts(device, host, W, rows, first)
    np.testing.assert_allclose(found, expected(host, W, first), rtol=1e-12, atol=1e-14)
    assert device.idle


@pytest.mark.parametrize(
    ("missing", "lagging"),
    [("wait", "both"), ("before_kernels", "copies"), ("after_kernels", "kernels")],
)
def test_the_check_notices_a_missing_wait(
    driver: Driver, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, missing: str, lagging: str
) -> None:
    monkeypatch.setattr(PlayedCopies, missing, lambda *_: None)
    device = QueueingDevice(driver, ONE_MULTIPROCESSOR, lagging=lagging)
    host, W = HostRows.of(*problem(rng, N, D, np.float64, weighted=True)), rng.normal(size=D + 1)
    found = gradient_in_parts(device, host, W, 19)
    assert not np.allclose(found, expected(host, W), rtol=1e-6)


def test_a_part_is_sent_before_the_kernels_of_the_one_before(
    driver: Driver, rng: np.random.Generator
) -> None:
    device = QueueingDevice(driver, ONE_MULTIPROCESSOR)
    host = HostRows.of(*problem(rng, N, D, np.float64, weighted=True))
    parts = Parts(device, host, 19, Packer(threads=1))
    sent = []
    parts.each(0, N, lambda _part, rows: sent.append((rows.start, device.made[0].queue.added // 2)))
    assert sent == [
        (0, 2),
        (19, 3),
        (38, 4),
        (57, 5),
        (76, 5),
    ]  # a copy is two pieces of work: wait, then copy


def test_an_exception_leaves_no_copy_under_way(driver: Driver, rng: np.random.Generator) -> None:
    device = QueueingDevice(driver, ONE_MULTIPROCESSOR)
    host, W = HostRows.of(*problem(rng, N, D, np.float64, weighted=False)), rng.normal(size=D + 1)
    parts = Parts(device, host, 19, Packer(threads=1))

    def interrupted(_part: Resident, rows: slice) -> None:
        if rows.start == 38:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        parts.each(0, N, interrupted)
    assert device.idle
    seen: list[slice] = []
    parts.each(0, N, lambda _part, rows: seen.append(rows))
    assert [rows.start for rows in seen] == [0, 19, 38, 57, 76]
    found = gradient_in_parts(device, host, W, 19)
    np.testing.assert_allclose(found, expected(host, W), rtol=1e-12, atol=1e-14)


# ---- filling pinned memory ---------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2, 3, None])
def test_packing_on_several_threads(
    dtype: Any, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, threads: int | None
) -> None:
    monkeypatch.setattr(cupy_fused_staging, "LEAST_SHARE_BYTES", 64)
    X = rng.normal(size=(101, 5)).astype(dtype)
    packer = Packer(threads)
    for chosen in (slice(3, 90), rng.integers(0, 101, 87), np.arange(87)):
        out = np.full((87, 5), np.nan, dtype)
        packer.pack(X, chosen, out)
        np.testing.assert_array_equal(out, X[chosen])
    columns = np.full((101, 2), np.nan, dtype)
    packer.pack(X[:, 1:3], slice(0, 101), columns)
    np.testing.assert_array_equal(columns, X[:, 1:3])


def test_a_failed_share_is_raised() -> None:
    packer = Packer(threads=2)
    with pytest.raises(ValueError, match="broadcast"):
        packer.pack(np.ones((1 << 19, 2)), slice(0, 1 << 19), np.empty((1 << 19, 3)))


@pytest.mark.parametrize("lagging", LAGGING)
@pytest.mark.parametrize("piece", [1, 40, 100, 400, 10_000])
def test_rows_sent_in_pieces(driver: Driver, rng: np.random.Generator, lagging: str, piece: int) -> None:
    device = QueueingDevice(driver, ONE_MULTIPROCESSOR, lagging=lagging)
    X = rng.normal(size=(33, 5))
    for chosen in (slice(0, 33), slice(7, 30), rng.integers(0, 33, 50)):
        count = len(X[chosen])
        target = device.empty(count * 5)
        pair = PinnedPair(device.copies(), max(piece, 40))
        events = list(send_rows(pair, Packer(threads=1), X, chosen, count, target))
        assert events[-1][1] == count
        pair.copies.wait(events[-1][0])
        np.testing.assert_array_equal(target.reshape(count, 5), X[chosen])


SHAPES = [(1, 1), (1000, 3), (37, 31), (5, 1001), (96, 4)]


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every X goes through the buffers, a third of it or so at a time."""
    monkeypatch.setattr(cupy_fused_slots, "AT_ONCE_BYTES", 1)


def matrix_and_weights(rng: np.random.Generator, m: int, d: int, dtype: Any) -> tuple[Any, Any]:
    return rng.normal(size=(m, d)).astype(dtype), rng.normal(size=d + 1)


@pytest.mark.parametrize("lagging", LAGGING)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_pieces_give_the_bits_of_the_whole(
    driver: Driver,
    dtype: Any,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
    lagging: str,
    shape: tuple[int, int],
) -> None:
    X, W = matrix_and_weights(rng, *shape, dtype)
    device = QueueingDevice(driver, ONE_MULTIPROCESSOR, lagging=lagging)
    monkeypatch.setattr(cupy_fused_slots, "LOGITS_PIECE_BYTES", X.nbytes * 2 // 7)
    z = logits(device, X, W)
    np.testing.assert_allclose(z, PythonEngine().logits(X, W), rtol=1e-12, atol=1e-12)
    rows = max(1, X.nbytes * 2 // 7 // (X.shape[1] * X.itemsize))
    assert len(device.launched) == -(-len(X) // rows)
    assert device.idle
    monkeypatch.setattr(cupy_fused_slots, "AT_ONCE_BYTES", X.nbytes + 1)
    monkeypatch.setattr(cupy_fused_slots, "LOGITS_PIECE_BYTES", X.nbytes)
    assert logits(device, X, W).tobytes() == z.tobytes()
    assert device.made[1:] == []  # no queue for an X that goes at once


def test_pieces_fit_into_half_of_what_is_free() -> None:
    assert piece_rows(112, 1 << 40) == (32 << 20) // 112
    rows = piece_rows(112, 100_000)
    assert 2 * (2 * rows * 112 + 8 * rows) <= 100_000 < 2 * (2 * (rows + 1) * 112 + 8 * (rows + 1))
    assert piece_rows(1 << 30, 1000) == 1


def test_little_memory(driver: Driver, rng: np.random.Generator) -> None:
    X, W = matrix_and_weights(rng, 500, 6, np.float64)
    device = QueueingDevice(driver, ONE_MULTIPROCESSOR, memory=6_000)
    np.testing.assert_allclose(logits(device, X, W), X @ W[:-1] + W[-1], rtol=1e-12, atol=1e-12)
    assert device.most <= 6_000
    assert device.used == 0


def test_a_large_host_x_is_predicted_by_the_engine_that_fitted(
    played_engine: PlayedCupyBackend, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small one is not worth the bus, and is answered by NumPy; both say the same."""
    X, _ = matrix_and_weights(rng, 200, 3, np.float32)
    model = LogisticRegression(backend="cupy").fit(X, X[:, 0] + rng.normal(size=200) > 0)
    before = len(played_engine._device.launched)
    small = model.decision_function(X)
    assert len(played_engine._device.launched) == before
    monkeypatch.setattr(prediction, "WORTH_THE_BUS", X.nbytes)
    large = model.decision_function(X)
    assert played_engine._device.launched[before:] == ["logits_float32"]
    np.testing.assert_allclose(large, small, rtol=1e-12, atol=1e-13)
