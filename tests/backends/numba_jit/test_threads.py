"""Chunks on parked threads: every one once, errors come back; forks, other threads, Ctrl-C and quotas."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from joblib import Parallel, delayed
from threadpoolctl import threadpool_info

from accel_logreg import LogisticRegression
from accel_logreg.backends.numba_jit import sharing, tuning
from accel_logreg.kernels.numba_jit import threads


def data(n: int = 60_000, d: int = 20) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    X = random.standard_normal((n, d))
    return X, (random.random(n) < 1 / (1 + np.exp(-X[:, 0]))).astype(int)


@pytest.fixture
def sixteen(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on sixteen cores, for little work as well."""
    monkeypatch.setattr(threads, "MOST", 16)
    monkeypatch.setattr(threads._Bound, "threads", 16)
    monkeypatch.setattr(sharing, "ENTRIES_PER_THREAD", 1000)


@pytest.mark.parametrize("chunks", [1, 2, 7, 100])
def test_every_chunk_once(chunks: int, sixteen: None) -> None:  # noqa: ARG001
    done = np.zeros(chunks, dtype=int)

    def kernel(chunk: int, of: int, done: Any) -> None:
        assert of == chunks
        time.sleep(1e-4)
        done[chunk] += 1

    for _ in range(20):
        done[:] = 0
        threads.share(chunks, kernel, done)
        assert (done == 1).all()


def test_errors_come_back_when_all_have_ended(sixteen: None) -> None:  # noqa: ARG001
    ended = []

    def kernel(chunk: int, _of: int) -> None:
        if chunk == 1:
            raise ZeroDivisionError
        time.sleep(0.02)
        ended.append(chunk)

    with pytest.raises(ZeroDivisionError):
        threads.share(4, kernel)
    assert sorted(ended) == [0, 2, 3]


@pytest.mark.parametrize("solver", ["newton", "newton-cg", "lbfgs"])
def test_sixteen_threads_find_what_one_finds(solver: str, sixteen: None) -> None:  # noqa: ARG001
    X, y = data(5000)
    # The first fit compiles: it has been seen to differ in the last place then, once in some hundred times.
    _, *fits = [
        LogisticRegression(backend="numba", solver=solver, n_threads=n, tol=1e-14).fit(X, y)
        for n in (16, 1, 16, 16)
    ]
    np.testing.assert_allclose(fits[0].coef_, fits[1].coef_, atol=1e-6)
    assert fits[1].coef_.tobytes() == fits[2].coef_.tobytes()


def test_fits_in_eight_threads_at_once(sixteen: None) -> None:  # noqa: ARG001
    X, y = data(4000)
    alone = LogisticRegression(backend="numba").fit(X, y)
    before = threadpool_info()

    def fit_and_predict(_: int) -> Any:
        model = LogisticRegression(backend="numba").fit(X, y)
        return model.coef_, model.predict_proba(X[:1])

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(fit_and_predict, range(24)))
    for coef, probability in found:
        assert coef.tobytes() == alone.coef_.tobytes()
        np.testing.assert_array_equal(probability, alone.predict_proba(X[:1]))
    assert threadpool_info() == before  # BLAS has its threads again


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_under_joblib(backend: str) -> None:
    X, y = data(3000)
    model = LogisticRegression(backend="numba").fit(X, y)  # before the fork
    fits = Parallel(n_jobs=2, backend=backend)(
        delayed(LogisticRegression(backend="numba").fit)(X, y) for _ in range(3)
    )
    for fitted in fits:
        np.testing.assert_array_equal(fitted.coef_, model.coef_)


FORK = """
import os, sys, warnings
import numpy as np
from accel_logreg import LogisticRegression
from accel_logreg.kernels.numba_jit import threads
warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads, from Python 3.12 on
random = np.random.default_rng(0)
X = random.standard_normal((60_000, 20))
y = (random.random(60_000) < 1 / (1 + np.exp(-X[:, 0]))).astype(int)
model = LogisticRegression(backend="numba", n_threads=2).fit(X, y)
threads.share(2, lambda *_: None)
child = os.fork()
if child == 0:
    again = LogisticRegression(backend="numba", n_threads=2).fit(X, y)
    same = np.array_equal(again.coef_, model.coef_) and np.array_equal(again.predict(X), model.predict(X))
    os._exit(0 if same else 1)
status = os.waitpid(child, 0)[1]
print(os.waitstatus_to_exitcode(status), np.array_equal(model.predict(X[:1]), model.predict(X)[:1]))
"""
QUOTA = """
from accel_logreg.kernels.numba_jit import threads
from accel_logreg.backends import load_backend
print(threads.MOST, load_backend("numba").n_threads(None))
"""
INTERRUPTED = """
import os, signal, threading, time
import numpy as np
from accel_logreg import LogisticRegression
X = np.random.default_rng(0).standard_normal((200_000, 20))
y = (X[:, 0] > 0).astype(int)
y[:1000] ^= 1
model = LogisticRegression(backend="numba", solver="gradient-descent", max_iter=5).fit(X, y)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background processes ignore it
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    model.set_params(max_iter=1_000_000).fit(X, y)
except KeyboardInterrupt:
    print("interrupted", model.n_iter_)
"""


def run(code: str, *before: str, **environment: str) -> str:
    """What a fresh process prints, which may not fail."""
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [*before, sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        timeout=200,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system knows no fork")
def test_a_child_after_a_fork_fits_and_predicts() -> None:
    assert run(FORK) == "0 True"


def test_the_user_decides_how_many_threads() -> None:
    assert run(QUOTA, NUMBA_NUM_THREADS="3") == "3 3"
    assert run(FORK, NUMBA_THREADING_LAYER="workqueue") == "0 True"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system knows no affinity")
def test_an_affinity_mask_is_heeded() -> None:
    code = f"import os; os.sched_setaffinity(0, [{min(os.sched_getaffinity(0))}])\n{QUOTA}"
    assert run(code, NUMBA_NUM_THREADS="") == "1 1"


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "250000 100000"}, 3),
        ({"cpu.max": "max 100000"}, 1 << 20),
        ({"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}, 2),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 1 << 20),
        ({}, 1 << 20),
    ],
)
def test_a_containers_quota(
    files: dict[str, str], cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(threads, "CONTROL_GROUP", tmp_path)
    assert threads._quota() == cores


def test_ctrl_c_is_a_keyboard_interrupt() -> None:
    assert run(INTERRUPTED) == "interrupted [5]"


def test_parked_threads_take_no_time() -> None:
    threads.share(2, lambda *_: None)
    began = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - began < 0.1  # a spinning thread would have taken 0.3 s
    assert any(thread.name == "accel_logreg" for thread in threading.enumerate()) or threads.MOST == 1


def test_few_entries_stay_on_one_thread() -> None:
    assert sharing.chunks_for(tuning.ENTRIES_PER_THREAD, 1000) == 1
    with threads.bounded(1):
        assert threads.threads_now() == 1
        taken = {threading.get_ident() for _ in range(3)}
        threads.share(8, lambda *_: taken.add(threading.get_ident()))
        assert len(taken) == 1
    assert threads.threads_now() == threads.MOST


BITS = """
import hashlib
import numpy as np
from scipy.sparse import csr_matrix
from accel_logreg import LogisticRegression
random = np.random.default_rng(0)
X = random.standard_normal((30_000, 40)).astype(np.float32)  # two chunks of a gradient, sixteen of a Hessian
y = (X[:, 0] + random.standard_normal(len(X)) > 0) * 1
thin = csr_matrix(X * (random.random(X.shape) < 0.5))
digest = hashlib.sha256()
for n_threads in (1, 2, 3, 4):
    for data, labels, solver in (
        (X, y, "newton"), (X, y, "newton-cg"), (X, y, "lbfgs"), (thin, y, "newton-cg"), (thin, y, "newton"),
        (X, y + (X[:, 1] > 1), "newton"),
    ):
        model = LogisticRegression(backend="numba", solver=solver, n_threads=n_threads).fit(data, labels)
        digest.update(model.coef_.tobytes() + model.intercept_.tobytes())
    print(digest.hexdigest())
    digest = hashlib.sha256()
"""


def test_any_number_of_threads_finds_the_same_bits() -> None:
    found = run(BITS, NUMBA_NUM_THREADS="4").split()
    assert len(found) == 4
    assert len(set(found)) == 1
