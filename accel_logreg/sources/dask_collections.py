"""X as a Dask array or data frame: its blocks are the parts, wherever Dask has them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import dask.base
import numpy as np
from dask.delayed import delayed
from numpy.typing import NDArray
from scipy.sparse import issparse

from accel_logreg.backends import load_backend
from accel_logreg.backends.parted.dask_store import DaskStore, compute
from accel_logreg.backends.parted.rows import place_store
from accel_logreg.interface.arrays import Csr, Matrix
from accel_logreg.interface.engine import Engine
from accel_logreg.interface.rows import Rows
from accel_logreg.interface.targets import Targets
from accel_logreg.measure.words import in_bytes
from accel_logreg.sources.csr_files import canonical
from accel_logreg.sources.memory import default_memory
from accel_logreg.sources.source import Source, bad_entry, computed_dtype

_SHARE = 2  # of the cluster's memory, up to which blocks are kept there for the fit
_AT_MOST = 1 << 40


class DaskSource(Source):
    """X (n, d), a part a block of rows; y and weights come to this process, for they are little beside it.

    Blocks are persisted for the fit where they take half of the workers' memory at most; else every question
    makes them again. What the caller has persisted is used as it is.
    """

    def __init__(self, X: Any, y: Any, sample_weight: Any) -> None:
        """Raises ValueError, TypeError where X, y and the weights do not go together."""
        self.client = _client()
        frame = hasattr(X, "to_dask_array")
        kind = "data frame" if frame else "array"
        if getattr(X, "ndim", 0) != 2:
            raise ValueError(f"the Dask {kind} has {getattr(X, 'ndim', 0)} dimensions; X is (n, d)")
        self.n_features = int(X.shape[1])
        if frame:
            self.names = np.array([str(name) for name in X.columns], dtype=object)
            dtypes = [np.dtype(dtype) if isinstance(dtype, np.dtype) else dtype for dtype in X.dtypes]
            for name, dtype in zip(self.names, dtypes, strict=True):
                if not isinstance(dtype, np.dtype) or dtype.kind not in "biuf":
                    raise TypeError(
                        f"column {name!r} of the Dask data frame is of type {dtype}; X is of numbers"
                    )
            blocks = X.to_delayed()
        else:
            if X.numblocks[1] > 1:  # a row has to be in one place
                X = X.rechunk({1: self.n_features})
            dtypes = [np.dtype(X.dtype)]
            blocks = X.to_delayed().ravel().tolist()
        self.where = f"the Dask {kind}"
        self.dtype = computed_dtype(dtypes, self.where)
        self.sparse = not frame and issparse(getattr(X, "_meta", None))
        convert = delayed(_converted, pure=False)
        parts = [convert(block, self.dtype) for block in blocks]
        sizes = self._sizes(X, parts, frame)
        self.bounds = np.cumsum([0, *(rows for rows, _, _ in sizes)], dtype=np.int64)
        self._stored = [stored for _, stored, _ in sizes]
        self.pairs = float(sum(pairs for _, _, pairs in sizes))
        self._parts = [part for part, (rows, _, _) in zip(parts, sizes, strict=True) if rows]
        if len(self._parts) < len(parts):  # empty blocks are no parts
            kept = [size for size in sizes if size[0]]
            self.bounds = np.cumsum([0, *(rows for rows, _, _ in kept)], dtype=np.int64)
            self._stored = [stored for _, stored, _ in kept]
        if not self._parts:
            raise ValueError(f"{self.where} has no rows")
        self.y, self.sample_weight = _here(y, self.client), _here(sample_weight, self.client)

    def part_bytes(self, part: int) -> int:
        if not self.sparse:
            return super().part_bytes(part)
        rows = int(self.bounds[part + 1] - self.bounds[part])
        return self._stored[part] * (self.dtype.itemsize + 4) + 4 * (rows + 1)

    @property
    def entries(self) -> int:
        return sum(self._stored)

    @property
    def waiting_bytes(self) -> int:
        return 0  # in this process

    def rows(self, engine: Engine, targets: Targets, max_memory: int | None) -> Rows:
        if self._store is None:
            bound = default_memory() if max_memory is None else max_memory
            parts = self._persisted() if self.nbytes <= self._room() else self._parts
            store = DaskStore(self, parts, load_backend, self.client)
            rows = place_store(engine, store, targets, bound)
            self._store = store
            return rows
        return super().rows(engine, targets, max_memory)

    def scan(self, wanted: Sequence[int]) -> Iterator[Matrix | Csr]:
        for part in wanted:
            yield compute([self._parts[part]], self.client, self.where)[0]

    def check_finite(self) -> None:
        store = (
            DaskStore(self, self._parts, load_backend, self.client) if self._store is None else self._store
        )
        for part, found in enumerate(store.first_bad(bad_entry)):
            if found is not None:
                self.refuse_entry(part, *found)

    def __str__(self) -> str:
        n, d = self.shape
        what = f"{self.where}, {n} x {d} {self.dtype}, {in_bytes(self.nbytes)} in {self.n_parts} parts"
        on = "Dask's threads"
        if self.client is not None:
            workers = len(self.client.scheduler_info(n_workers=-1)["workers"])
            on = f"{workers} worker{'s' * (workers != 1)}"
        return f"{what} on {on}" + (f": {self._passes} reads" if self._passes else "")

    def _sizes(self, X: Any, parts: list[Any], frame: bool) -> list[tuple[int, int, float]]:
        """Rows, numbers stored and Σ of squares of the rows' lengths, of each part."""
        if not frame and not self.sparse and not any(np.isnan(rows) for rows in X.chunks[0]):
            return [(int(rows), int(rows) * self.n_features, 0.0) for rows in X.chunks[0]]
        tasks = [delayed(_size, pure=False)(part) for part in parts]
        return compute(tasks, self.client, self.where)

    def _persisted(self) -> list[Any]:
        """The parts as what is computed once and stays with the workers until the fit ends."""
        if self.client is None:
            by_threads: Any = dask.base.persist
            return list(by_threads(*self._parts))
        return list(self.client.persist(self._parts))

    def _room(self) -> int:
        """Bytes that the parts may take where they are computed."""
        if self.client is None:
            return default_memory()
        workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
        return sum(int(worker["memory_limit"] or _AT_MOST) for worker in workers) // _SHARE


def _client() -> Any | None:
    """The current distributed client, if there is one. Raises ValueError for an asynchronous one."""
    if "distributed" not in sys.modules:
        return None
    from distributed import get_client

    try:
        client = get_client()
    except ValueError:
        return None
    if client.asynchronous:
        raise ValueError(
            "the current Dask client is asynchronous, and fit waits for it: call it in a thread, await "
            "asyncio.to_thread(model.fit, X, y)"
        )
    return client


def _here(values: Any, client: Any | None) -> NDArray[Any] | None:
    """y or weights as an array in this process."""
    if values is None:
        return None
    if not hasattr(values, "to_delayed"):
        return np.asarray(values)
    blocks = values.to_delayed()
    blocks = blocks.ravel().tolist() if isinstance(blocks, np.ndarray) else list(blocks)
    found = compute(blocks, client, "y and sample_weight")
    return np.concatenate([np.asarray(block).reshape(len(block), -1).squeeze(axis=-1) for block in found])


def _converted(block: Any, dtype: np.dtype[Any]) -> Matrix | Csr:
    """A block as the engines take it: C order, that dtype, on the host."""
    if issparse(block):
        return canonical(block, dtype)
    block = block.get() if hasattr(block, "__cuda_array_interface__") else block
    rows: Matrix = np.ascontiguousarray(np.asarray(block), dtype=dtype)
    return rows


def _size(part: Matrix | Csr) -> tuple[int, int, float]:
    if isinstance(part, Csr):
        return part.shape[0], len(part.data), part.pairs
    return part.shape[0], part.size, 0.0


def lazily(X: Any, names: Any, answer: Callable[[Matrix | Csr], NDArray[Any]], like: NDArray[Any]) -> Any:
    """What ``answer`` says of every block of X (n, d), as a Dask array that computes nothing yet.

    names : the columns of a data frame that are meant, or None for all
    like : an answer to no rows, (0,) or (0, K)
    """
    if hasattr(X, "to_dask_array"):
        X = (X if names is None else X[list(names)]).to_dask_array()
    if X.numblocks[1] > 1:
        X = X.rechunk({1: X.shape[1]})
    dtype = computed_dtype([np.dtype(X.dtype)], "the Dask array")
    shape = {"drop_axis": 1} if like.ndim == 1 else {"chunks": (X.chunks[0], (like.shape[1],))}
    return X.map_blocks(_answered, answer=answer, computed=dtype, dtype=like.dtype, meta=like, **shape)


def _answered(
    block: Any, *, answer: Callable[[Matrix | Csr], NDArray[Any]], computed: np.dtype[Any]
) -> NDArray[Any]:
    return answer(_converted(block, computed))
