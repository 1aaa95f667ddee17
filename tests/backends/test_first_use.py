"""Until kernels are compiled, "auto" lets NumPy make what it makes sooner; a named engine stays."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from accel_logreg import LogisticRegression, LogisticRegressionCV
from accel_logreg.backends import first_use, resolve
from accel_logreg.backends.first_use import COMPILING, Work

X = np.random.default_rng(0).standard_normal((200, 4))
Y = (X[:, 0] > 0).astype(int)


@pytest.fixture
def nothing_compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(first_use, "_known", set())
    monkeypatch.setattr(first_use, "_spent", 0.0)
    monkeypatch.setattr(first_use, "_folder", lambda: tmp_path)
    return tmp_path


@pytest.mark.usefixtures("nothing_compiled")
def test_small_fits_are_numpys_until_compiling_would_have_paid() -> None:
    one, other = Work.of(X, Y, kinks=False), Work.of(X, Y, kinks=True)
    assert one is not None
    expected = int(COMPILING / one.seconds)
    ran = [resolve("auto", X, one).name for _ in range(expected + 2)]
    assert ran == ["numpy"] * expected + ["numba"] * 2
    assert resolve("auto", X, other).name == "numba"  # too late for others as well


def test_what_is_compiled_is_used_at_once(nothing_compiled: Path) -> None:
    assert LogisticRegression(backend="numba").fit(X, Y).backend_ == "numba"
    assert LogisticRegression().fit(X, Y).backend_ == "numba"
    assert LogisticRegressionCV(Cs=2, cv=2).fit(X, Y).backend_ == "numpy"  # other kernels
    (stamp,) = nothing_compiled.iterdir()
    assert stamp.name.endswith("-small")
    first_use._known.clear()  # as in another process
    assert LogisticRegression().fit(X, Y).backend_ == "numba"
    stamp.rename(stamp.with_name("compiled-another-small"))  # of other sources
    first_use._known.clear()
    assert LogisticRegression().fit(X, Y).backend_ == "numpy"


@pytest.mark.usefixtures("nothing_compiled")
def test_large_fits_compile_and_say_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_use, "COMPILING", 0.01)
    assert LogisticRegression(verbose=1).fit(X, Y).backend_ == "numba"
    assert "compiling the kernels of such fits, once: some seconds" in capsys.readouterr().out
    LogisticRegression(verbose=1).fit(X, Y)
    assert "compiling" not in capsys.readouterr().out


@pytest.mark.usefixtures("nothing_compiled")
def test_named_engines_are_never_replaced() -> None:
    assert LogisticRegression(backend="numba").fit(X, Y).backend_ == "numba"
    assert LogisticRegression(backend="python").fit(X, Y).backend_ == "python"


def test_work_is_told_apart() -> None:
    def kind(X: object, y: object, **how: bool) -> list[str]:
        work = Work.of(X, y, kinks=how.get("kinks", False))
        assert work is not None
        return first_use._name(work.kind).split("-")[2:]

    assert kind(X, Y) == ["small"]
    assert kind(X.astype(np.float32), Y, kinks=True) == ["float32", "kinks", "small"]
    assert kind(csr_matrix(X), np.arange(200) % 3) == ["sparse", "classes", "small"]
    assert kind(np.empty((100_001, 1)), np.zeros(100_001)) == []
    assert Work.of([[1.0], [2.0]], [0, 1], kinks=False) is None


def test_predicted_times() -> None:
    def seconds(X: object, y: object = Y, **how: bool) -> float:
        work = Work.of(X, y, kinks=how.get("kinks", False))
        assert work is not None
        return work.seconds

    tall, square = np.empty((1_000_000, 28)), np.empty((3000, 3000))  # whose pages nobody touches
    assert seconds(X) < 0.1 < seconds(tall) < COMPILING  # 0.2 s
    assert seconds(square) > COMPILING / 2.0  # its Hessians
    assert seconds(X, np.arange(200) % 3) > seconds(X)
    assert seconds(tall, kinks=True) > 2.0 * seconds(tall)
    assert seconds(csr_matrix(X)) > seconds(X)


@pytest.mark.slow
def test_a_first_fit_of_a_process_without_kernels_loads_no_compiler(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np; from accel_logreg import LogisticRegression\n"
        "model = LogisticRegression().fit(np.eye(4), [0, 1, 0, 1])\n"
        "print(model.backend_, 'numba' in sys.modules)"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    out = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert out.stdout.split() == ["numpy", "False"]
