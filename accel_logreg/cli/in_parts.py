"""``train`` and ``predict`` for data larger than memory: read in parts, a few times, in so much memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from accel_logreg import LogisticRegression
from accel_logreg.cli.common import err, facts, told
from accel_logreg.evaluation.report import some
from accel_logreg.files.checks import listed
from accel_logreg.files.model import save_model
from accel_logreg.files.tables import write_parts
from accel_logreg.sources import column_names, open_source, source_of
from accel_logreg.sources.source import Source


def refuse(what: dict[str, Any]) -> None:
    """Raise ValueError for options that need all rows in memory; their names and what was given."""
    given = [name for name, value in what.items() if value]
    if given:
        raise ValueError(
            f"--max-memory reads the data in parts, and {listed(given)} need all rows at once. Leave them "
            "out, or prepare the data first"
        )


def train_in_parts(
    model: LogisticRegression,
    data: str,
    output: Path,
    console: Any,
    *,
    target: str | None,
    labels: Path | None,
    weights: str | None,
    features: list[str] | None,
    drop: list[str] | None,
) -> None:
    """Fit to files, say what was read, and save the model."""
    y: Any = labels if labels is not None else target
    names = features
    if drop:
        there = column_names(data)
        if absent := [name for name in drop if name not in there]:
            raise ValueError(f"--drop {listed(absent)}: {data} has the columns {listed(there)}")
        names = [name for name in features or there if name not in (*drop, target, weights)]
    sourced = open_source(data, y, weights, names=names)
    assert sourced is not None
    source = sourced.X
    began = time.perf_counter()
    with _shown(source, "fitting"), told(model.backend):
        model.fit(source, sourced.y, sourced.sample_weight)
    seconds = time.perf_counter() - began
    metadata: dict[str, Any] = {"input": "arrays", "target": target, "dtype": str(source.dtype)}
    if source.names is not None:
        metadata |= {"input": "table", "features": source.names.tolist()}
    save_model(model, output, metadata=metadata)
    counts = np.unique(np.asarray(sourced.y), return_counts=True)[1]
    with _shown(source, "scoring"):
        accuracy = model.score(source, sourced.y, sourced.sample_weight)
    of_fitted = f"{accuracy:.4f} of the rows that were fitted, against {counts.max() / counts.sum():.4f}"
    facts(
        [
            ("data", str(source)),
            ("classes", some([str(label) for label in model.classes_.tolist()])),
            ("engine, solver", f"{model.backend_}, {model.solver_}"),
            ("cost", f"{model.history_['cost'][-1]:.6g} nats"),
            ("relative gap", f"{model.gap_:.1e} ({model.gap_kind_})"),
            ("accuracy", f"{of_fitted} for the commonest class alone"),
            ("seconds", f"{seconds:.3g} for the fit"),
            ("written to", str(output)),
        ],
        console,
    )


def predict_in_parts(model: LogisticRegression, data: str, output: Path, console: Any) -> None:
    """Label and probabilities of every row, written part by part."""
    source = source_of(data, getattr(model, "feature_names_in_", None))
    assert source is not None
    rows = 0
    names = [f"probability_{label}" for label in model.classes_.tolist()]

    def answers() -> Iterator[dict[str, Any]]:
        nonlocal rows
        for probabilities in model.predict_proba(source):
            rows += len(probabilities)
            predicted = model.classes_[probabilities.argmax(axis=1)]
            yield {"predicted": predicted} | dict(zip(names, probabilities.T, strict=True))

    with _shown(source, "predicting"):
        write_parts(output, answers())
    facts([("rows", f"{rows:,}"), ("data", str(source)), ("written to", str(output))], console)


@contextmanager
def _shown(source: Source, what: str) -> Iterator[None]:
    """Bytes and pace of every read, where stderr is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task(what, total=source.nbytes)
        now = 0

        def tell(read: int, part: int, size: int) -> None:
            nonlocal now
            if read != now:
                now = read
                kept = sum(source.part_bytes(k) for k in range(part))
                progress.reset(task, total=source.nbytes - kept, description=f"{what}, read {read}")
            progress.advance(task, size)

        source.progress = tell
        try:
            yield
        finally:
            source.progress = None


def check_suited(data: Path | str) -> None:
    """Raise ValueError for what is not read in parts: a folder of pictures, a text table, standard input."""
    if str(data) == "-":
        raise ValueError(
            "standard input can be read once, and --max-memory reads the data several times; name a file"
        )
    if Path(data).is_dir() and not any(Path(data).rglob("*.parquet")):
        raise ValueError(
            f"{data} has no .parquet files; --max-memory reads .npy, .npz, .parquet and .feather"
        )
