"""``python -m bench.run``: run the suites, write one JSON file for this machine, print the table.

The file is pytest-benchmark's, which ``pytest-benchmark compare`` reads, with ceilings and noise beside it.
``make bench`` runs the CPU engines in under five minutes, with FULL=1 the large shapes as well; ``make gpu``
runs the CuPy engine alone. Extra arguments go to pytest, for example ``python -m bench.run -k gradient``; a
partial run prints its table and writes no results.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from accel_logreg.backends import BackendUnavailableError, load_backend
from accel_logreg.interface.engine import Engine
from accel_logreg.measure import machine
from accel_logreg.profile.ceilings import Ceilings, best_of, device_ceilings, host_ceilings
from bench.report import gpu_targets, table
from bench.report.ceilings import named_ceilings
from bench.report.document import BenchDocument
from bench.report.findings import findings
from bench.report.results_file import of_json, write

BENCH = Path(__file__).parent
ROOT = BENCH.parent
RESULTS = BENCH / "results"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument("--gpu", action="store_true", help="only the CuPy engine; fail where it cannot run")
    parser.add_argument("--full", action="store_true", help="the large shapes as well, and more rounds")
    parser.add_argument(
        "--output", type=Path, help="results file (default: bench/results/, named by machine)"
    )
    options, pytest_arguments = parser.parse_known_args()
    if options.gpu:
        try:
            load_backend("cupy")
        except BackendUnavailableError as error:
            print(error, file=sys.stderr)
            return 1
    began = time.perf_counter()
    description = machine.describe()
    before = None if pytest_arguments else ceilings(gpu=options.gpu)  # a part takes less time than they do
    body, status = run_pytest(gpu=options.gpu, full=options.full, arguments=pytest_arguments)
    if body is None:
        print("no benchmark finished; nothing was written", file=sys.stderr)
        return status or 1
    after = ceilings(gpu=options.gpu)
    limits = named_ceilings(*map(_best, before or after, after))
    command = " ".join(["python -m bench.run", *sys.argv[1:]])
    document = replace(of_json(body, limits), command=command)
    print(f"\n{table.text(document)}")
    print("\n".join(["\nfindings:", *(f"  {sentence}" for sentence in findings(document))]))
    if options.gpu:
        print(f"\n{gpu_targets.text(document.records)}")
    print(f"\n{description.cpu}; {len(document.records)} benchmarks in {time.perf_counter() - began:.0f} s")
    if status != 0:
        print("a benchmark failed or gave a wrong answer; nothing was written", file=sys.stderr)
        return status
    if pytest_arguments and options.output is None:
        print("a partial run: nothing was written (give --output to keep it)")
        return 0
    path = options.output or RESULTS / f"{machine_name(description, options.gpu)}.json"
    write(document, path)
    print(f"written: {path}")
    peers = RESULTS / f"peers-{machine_name(description, gpu=False)}.json"
    print(report(document, ROOT / "report", peers if peers.exists() else None))
    return 0


def run_pytest(*, gpu: bool, full: bool, arguments: list[str]) -> tuple[dict[str, Any] | None, int]:
    """pytest-benchmark's JSON, None where no benchmark finished; and pytest's exit status."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "benchmarks.json"
        command = [sys.executable, "-m", "pytest", str(BENCH), "--benchmark-only", f"--benchmark-json={raw}"]
        # Our own table follows; theirs knows neither ceilings nor intervals.
        command += ["-q", "--benchmark-columns=median,rounds", "--benchmark-quiet", "--no-header"]
        # Nothing selected is said below, in words.
        command += ["-W", "ignore:Not saving anything"]
        command += ["--require-gpu", "-k", "cupy"] if gpu else []
        command += ["--full"] if full else []
        # SciPy, and scikit-learn on a GPU through it, read this when they are imported.
        environment = {**os.environ, "SCIPY_ARRAY_API": "1"} if gpu else None
        status = subprocess.run([*command, *arguments], cwd=ROOT, env=environment, check=False).returncode
        return (json.loads(raw.read_text()) if raw.exists() and raw.stat().st_size else None), status


def ceilings(*, gpu: bool) -> tuple[Ceilings | None, Ceilings | None]:
    """Of the host, or of the device where that is what runs."""
    if not gpu:
        return host_ceilings(_fastest(), None), None
    import cupy

    return None, device_ceilings(cupy, int(cupy.cuda.runtime.memGetInfo()[0]))


def _best(before: Ceilings | None, after: Ceilings | None) -> Ceilings | None:
    return None if before is None or after is None else best_of(before, after)


def _fastest() -> Engine:
    try:
        return load_backend("numba")
    except BackendUnavailableError:
        return load_backend("numpy")


def report(document: BenchDocument, folder: Path, peers: Path | None) -> str:
    """Write the page and say where; or say in words why there is none."""
    try:
        write_report = import_module("bench.report.page").write_report
    except ImportError as error:
        return f"no report was written: {error}. Remedy: pip install '.[lab]'"
    return f"report: {write_report(document, folder, peers)}"


def machine_name(description: machine.Machine, gpu: bool) -> str:
    """A file name, unlike that of another machine: gpu-nvidia-h100-80gb-hbm3, or of a processor
    cpu-amd-epyc-family-26-model-2-stepping-1-avx-512-2-cores-2-threads.

    Marketing names do not tell generations apart, and one processor is rented out in many sizes.
    """
    if gpu:
        text = f"gpu {description.gpus[0].name}" if description.gpus else "gpu"
    else:
        text = (
            f"cpu {description.cpu} {description.cpu_id} {description.instruction_set} "
            f"{description.physical_cores} cores {description.usable_cores} threads"
        )
        text += "" if description.cpu_quota is None else f" limit {description.cpu_quota:g}"
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


if __name__ == "__main__":
    sys.exit(main())
