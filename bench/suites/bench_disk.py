"""X in a file that is larger than the memory allowed: reading it, a pass over it, a fit, and SGD over it.

    python -m bench.run -k bench_disk

"read" is the file, part by part, past the page cache: what a pass over the parts can be as fast as. A fit
keeps what there is room for and reads the rest three or four times. "sgd" is scikit-learn's partial_fit, an
epoch over the same parts, averaged and with steps that shrink as the root of their number; how far from the
optimum it is then stands in the results as "suboptimality".
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accel_logreg import LogisticRegression
from accel_logreg.backends import load_backend
from accel_logreg.backends.parted.store import memory_needed
from accel_logreg.sources import open_source
from accel_logreg.sources.source import Source
from bench.harness.questions import TOL
from bench.harness.work import Work

SHAPES = {"2e6x28": (2_000_000, 28), "2e5x300": (200_000, 300), "2e7x28": (20_000_000, 28)}
KINDS = ("npy", "parquet")
ALLOWED = 0.5  # of X's bytes, above the least that a fit needs
_STEP = 100_000  # rows that are drawn at a time


@lru_cache(maxsize=1)
def folder() -> Path:
    """For the files, which go when the process ends."""
    made = Path(tempfile.mkdtemp(prefix="accel_logreg_bench_"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


@lru_cache(maxsize=2)
def labels(shape: str) -> Any:
    """y, after X has been written as .npy and Parquet."""
    import pyarrow as pa
    import pyarrow.parquet

    n, d = SHAPES[shape]
    random = np.random.default_rng(0)
    w = random.standard_normal(d) / np.sqrt(d)
    y = np.empty(n, dtype=np.int8)
    X = np.lib.format.open_memmap(folder() / f"{shape}.npy", "w+", np.float32, (n, d))
    schema = pa.schema([(f"x{j}", pa.float32()) for j in range(d)])
    with pa.parquet.ParquetWriter(folder() / f"{shape}.parquet", schema, compression="zstd") as writer:
        for first in range(0, n, _STEP):
            x = random.standard_normal((min(_STEP, n - first), d)).astype(np.float32)
            x[:, 0] += 2.0
            X[first : first + len(x)] = x
            y[first : first + len(x)] = random.random(len(x)) < 1.0 / (1.0 + np.exp(-2.0 * x @ w))
            writer.write_table(pa.table(list(x.T), schema=schema))
    X.flush()
    return y


def source_of(shape: str, kind: str) -> Source:
    sourced = open_source(folder() / f"{shape}.{kind}", labels(shape))
    assert sourced is not None
    return sourced.X


def allowed(source: Source) -> int:
    """Bytes of memory: what a fit needs, and half of X."""
    return sum(memory_needed(source, source.shape[0], 1).values()) + int(ALLOWED * source.nbytes)


@lru_cache(maxsize=2)
def in_memory(shape: str) -> Any:
    """The fit to the whole array."""
    X = np.load(folder() / f"{shape}.npy")
    return LogisticRegression(backend="numba", tol=1e-13).fit(X, labels(shape))


def disk(shape: str, kind: str, way: str) -> Work:
    y, source = labels(shape), source_of(shape, kind)
    model = LogisticRegression(backend="numba", tol=TOL, max_memory=allowed(source))

    def read() -> Any:
        return sum(X.shape[0] for X in source.scan(range(source.n_parts)))

    def fit() -> Any:
        return model.fit(source, y)

    def epoch() -> Any:
        from sklearn.linear_model import SGDClassifier

        steps: Any = {"learning_rate": "invscaling", "eta0": 0.1, "power_t": 0.5, "average": True}
        other = SGDClassifier("log_loss", alpha=1.0 / len(y), random_state=0, **steps)
        for first, X in zip(source.bounds, source.scan(range(source.n_parts)), strict=False):
            other.partial_fit(X, y[first : first + X.shape[0]], classes=(0, 1))
        return other

    def check(answer: Any) -> dict[str, Any]:
        if way == "read":
            assert answer == len(y)
            return {}
        J = in_memory(shape).history_["cost"][-1]
        if way == "sgd":
            X = np.load(folder() / f"{shape}.npy", mmap_mode="r")
            z = X @ answer.coef_[0] + answer.intercept_
            cost = np.logaddexp(0.0, np.where(y, -z, z)).mean()
            off = float((cost + answer.coef_[0] @ answer.coef_[0] / 2 / len(y)) / J - 1.0)
            assert off > 0.0
            return {"suboptimality": off}
        assert model.gap_ <= TOL
        assert abs(model.history_["cost"][-1] / J - 1.0) <= TOL
        reads = float(model.history_["reads"][-1])
        return {"gap": model.gap_, "reads_of_X": reads, "kept_bytes": source.kept_bytes}

    call = {"read": read, "fit": fit, "sgd": epoch}[way]
    group, info = f"on disk {shape} {kind}", {"version": way}
    return Work(call, check, load_backend("numba"), source, group, 0, info=info)


@pytest.mark.parametrize("shape", ["2e6x28", "2e5x300", pytest.param("2e7x28", marks=pytest.mark.full)])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["read", "fit", "sgd"])
def bench_disk(contest: Any, shape: str, kind: str, way: str) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    if way == "sgd" and kind != "npy":
        pytest.skip("an epoch takes as long over one kind of file as over the other")
    contest(partial(disk, shape, kind), way=way)
