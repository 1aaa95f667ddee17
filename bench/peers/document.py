"""The results file: every run with its conditions, as JSON."""

from __future__ import annotations

import json
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from accel_logreg.files.atomic import atomic_write
from accel_logreg.measure.machine import Machine
from bench.judge.score import C
from bench.peers.results import ShapeResult
from bench.problems.dense import SEED
from bench.run import machine_name

FORMAT = "accel_logreg peers"
VERSION = 1
PEERS = ("scikit-learn", "scikit-learn-intelex", "glum", "snapml", "liblinear-multicore", "skglm")
_RESULTS = Path(__file__).parents[1] / "results"


def default_path(machine: Machine) -> Path:
    """bench/results/peers-cpu-….json, named as the other benchmarks' files are."""
    return _RESULTS / f"peers-{machine_name(machine, False)}.json"


def write(path: Path, results: list[ShapeResult], machine: Machine) -> None:
    document = {
        "format": FORMAT,
        "version": VERSION,
        "command": " ".join(["python -m bench.peers", *sys.argv[1:]]),
        "machine": machine.to_dict(),
        "peers": {name: _version(name) for name in PEERS},
        "objective": {"C": C, "l2": "1/(C n)", "intercept": "not penalised", "seed": SEED},
        "shapes": [result.to_dict() for result in results],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as stream:
        stream.write((json.dumps(document, indent=1) + "\n").encode())


def read(path: Path) -> list[ShapeResult]:
    """The shapes of a file that ``write`` wrote."""
    try:
        document: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{path} cannot be read: {error}; give a file written by python -m bench.peers"
        ) from error
    if document.get("format") != FORMAT or document.get("version") != VERSION:
        found = f"format={document.get('format')!r}, version={document.get('version')!r}"
        raise ValueError(
            f"{path} has {found}; {FORMAT!r}, version {VERSION} is needed: run python -m bench.peers"
        )
    return [ShapeResult.from_dict(entry) for entry in document["shapes"]]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
