"""What one comparison measured, and the results file: every run with its conditions, as JSON."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Self

from accel_logreg.files.atomic import atomic_write
from accel_logreg.measure.machine import Machine
from bench.judge.optimum import Optimum
from bench.peers.solvers import DEFAULT, OURS
from bench.problems.problem import SEED, C, Problem
from bench.report.results_file import BenchDocumentError, read_json
from bench.run import machine_name

FORMAT = "accel_logreg peers"
VERSION = 1
_PEERS = ("scikit-learn", "scikit-learn-intelex", "glum", "snapml", "liblinear-multicore", "skglm", "celer")
_RESULTS = Path(__file__).parents[1] / "results"
_LINE = 100  # characters
_THREADS = {"": [], "BLAS": ["BLAS on 1 thread"], "all": ["1 thread"]}
TARGET = 1e-6  # a peer has to come this close to be compared with
PROMISE = 1e-8  # how close our default says it comes


@dataclass
class Run:
    """One solver with one set of parameters.

    seconds : list of float
        One figure a round: the median of that round's calls.
    scouting : bool
        The only round was the first look, solver after solver, not in turns with the others.
    alone : str
        "BLAS" or "all" where that was held to one thread; empty where everything had all cores.
    values : list of float
        J of each round's answer, by our own evaluator.
    reads : int or None
        Reads of X; None where the solver does not tell.
    peak_bytes : int or None
        The most, over rounds, by which resident memory rose during the calls.
    zeros : int or None
        Weights that are exactly zero, of all penalties of a path; told where there is an L1 part.
    trouble : str
        Why there is no answer; empty if there is one.
    """

    solver: str
    parameters: dict[str, Any]
    alone: str = ""
    seconds: list[float] = field(default_factory=list)
    calls: int = 0
    scouting: bool = True
    values: list[float] = field(default_factory=list)
    suboptimality: float | None = None
    iterations: int | None = None
    reads: int | None = None
    peak_bytes: int | None = None
    remark: str = ""
    zeros: int | None = None
    warnings: list[str] = field(default_factory=list)
    trouble: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def reaches(self, gap: float) -> bool:
        """Every round's answer was within ``gap`` of J*."""
        return not self.trouble and self.suboptimality is not None and self.suboptimality <= gap

    def in_words(self) -> str:
        """column=10, tol=1e-06, BLAS on 1 thread."""
        return ", ".join([settings(self.parameters), *_THREADS[self.alone]])


def settings(parameters: dict[str, Any]) -> str:
    """column=10, tol=1e-06."""
    return ", ".join(f"{name}={value:g}" for name, value in parameters.items() if isinstance(value, float))


@dataclass
class ShapeResult:
    """Everything measured on one shape.

    divided_by : int
        1 is the shape as named; more is a trial with that fraction of its rows, which no target is for.
    read_bandwidth : float
        Bytes per second, measured just before.
    cold_seconds : dict
        Solver → import, conversion and first fit in a fresh process that has loaded NumPy, SciPy and X.
    compile_seconds : float or None
        The same for ours with an empty compilation cache, as after installation; measured on one shape.
    conversions : dict
        Solver → seconds and bytes of its conversion, warm, which no fit's time includes.
    left_out : dict
        Solver → why it was not tried.
    against : str
        The library that ``target`` is about, empty for all.
    penalty : str
        In words, where it is not C = 1 and L2.
    """

    name: str
    n: int
    d: int
    n_stored: int
    dtype: str
    X_bytes: int
    target: float
    divided_by: int
    read_bandwidth: float
    optimum: Optimum
    runs: list[Run] = field(default_factory=list)
    cold_seconds: dict[str, float] = field(default_factory=dict)
    compile_seconds: float | None = None
    conversions: dict[str, list[float]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    against: str = ""
    penalty: str = ""

    def judge(self, optimum: Optimum) -> None:
        """(J − J*)/J* of every run, the worst of its rounds."""
        self.optimum = optimum
        for run in self.runs:
            if run.values:
                run.suboptimality = max((value - optimum.value) / optimum.value for value in run.values)

    @property
    def ours(self) -> Run | None:
        """The default fit."""
        return next((r for r in self.runs if r.solver == OURS and r.parameters == DEFAULT), None)

    def fastest(self, solver: str, gap: float) -> Run | None:
        """This solver's fastest run within ``gap``."""
        return self._fastest(gap, lambda name: name == solver)

    def best_peer(self, gap: float, library: str = "") -> Run | None:
        """The fastest run of any solver that is not ours, whatever its tolerance, within ``gap``.

        Of one library alone, where given: solvers are named after theirs.
        """
        return self._fastest(gap, lambda name: name != OURS and name.startswith(library))

    def _fastest(self, gap: float, wanted: Callable[[str], bool]) -> Run | None:
        runs = (run for run in self.runs if wanted(run.solver) and run.reaches(gap))
        return min(runs, key=lambda run: run.median, default=None)

    @classmethod
    def of(cls, problem: Problem, **facts: Any) -> Self:
        """A problem on which nothing was measured yet."""
        size: dict[str, Any] = {"n": problem.n, "d": problem.d, "n_stored": problem.n_stored}
        penalty = "" if problem.l1 == 0.0 else _penalty(problem)
        return cls(
            dtype=str(problem.X.dtype), X_bytes=problem.n_bytes, penalty=penalty, **size, **facts
        )  # fmt: skip

    @classmethod
    def from_dict(cls, entry: dict[str, Any]) -> Self:
        runs = [Run(**run) for run in entry["runs"]]
        return cls(**{**entry, "optimum": Optimum(**entry["optimum"]), "runs": runs})


def _penalty(problem: Problem) -> str:
    strength = (
        f"{len(problem.Cs)} values of C from {problem.Cs[0]:.3g}" if problem.Cs else f"C={problem.C:.3g}"
    )
    return f"l1_ratio={problem.l1_ratio:g}, {strength}"


def default_path(machine: Machine) -> Path:
    """bench/results/peers-cpu-….json, named as the other benchmarks' files are."""
    return _RESULTS / f"peers-{machine_name(machine, False)}.json"


def write(path: Path, results: list[ShapeResult], machine: Machine) -> None:
    document = {
        "format": FORMAT,
        "version": VERSION,
        "command": " ".join(["python -m bench.peers", *sys.argv[1:]]),
        "machine": machine.to_dict(),
        "peers": {name: _version(name) for name in _PEERS},
        "objective": {"C": C, "l2": "1/(C n)", "intercept": "not penalised", "seed": SEED},
        "shapes": [asdict(result) for result in results],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as stream:
        stream.write((in_lines(document, 4) + "\n").encode())  # down to a run


def read(path: Path) -> list[ShapeResult]:
    """The shapes of a file that ``write`` wrote.

    Raises
    ------
    BenchDocumentError
        Not JSON, of another format or version, or a shape that lacks something.
    OSError
        The file cannot be read.
    """
    body = read_json(path, FORMAT, VERSION, "make peers")
    try:
        return [ShapeResult.from_dict(entry) for entry in body["shapes"]]
    except (KeyError, TypeError) as error:
        raise BenchDocumentError(f"{path} is not a whole file of 'make peers': {error!r}") from None


def in_lines(value: Any, depth: int, indent: str = "") -> str:
    """JSON with a line for each entry of the outer ``depth`` levels, where they do not fit into one."""
    flat = json.dumps(value)
    if depth == 0 or len(flat) <= _LINE or not isinstance(value, dict | list):
        return flat
    inner = indent + " "
    if isinstance(value, dict):
        lines = [f"{json.dumps(name)}: {in_lines(entry, depth - 1, inner)}" for name, entry in value.items()]
    else:
        lines = [in_lines(entry, depth - 1, inner) for entry in value]
    return flat[0] + "\n" + ",\n".join(inner + line for line in lines) + f"\n{indent}{flat[-1]}"


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
