"""``python -m bench.run``: run the suites, write one small JSON file for this machine, print the table.

``make bench`` runs the CPU engines, ``make gpu`` this with --gpu. Extra arguments go to pytest, for
example ``python -m bench.run -k gradient``; a partial run prints its table and writes no results.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from accel_logreg.atomic import atomic_write
from accel_logreg.backends import BackendUnavailableError, load_backend
from accel_logreg.lab import machine

BENCH = Path(__file__).parent
FORMAT_VERSION = 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument("--gpu", action="store_true", help="only the CuPy engine; fail where it cannot run")
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
    bandwidth = machine.read_bandwidth()
    description = machine.describe()
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "benchmarks.json"
        command = [sys.executable, "-m", "pytest", str(BENCH), "--benchmark-only", f"--benchmark-json={raw}"]
        command += ["-q", "--benchmark-columns=median,iqr,rounds", "--benchmark-disable-gc"]
        # Nothing selected is said below, in words.
        command += ["-W", "ignore:Not saving anything"]
        command += ["--require-gpu", "-k", "cupy"] if options.gpu else []
        status = subprocess.run([*command, *pytest_arguments], cwd=BENCH.parent, check=False).returncode
        if not raw.exists():
            print("no benchmark finished; nothing was written", file=sys.stderr)
            return status or 1
        records = [record(entry) for entry in json.loads(raw.read_text())["benchmarks"]]
    print(table(records))
    print(f"\nread bandwidth of the memory, measured first: {bandwidth / 1e9:.1f} GB/s; {description.cpu}")
    if status != 0:
        print("a benchmark failed or gave a wrong answer; nothing was written", file=sys.stderr)
        return status
    if pytest_arguments and options.output is None:
        print("a partial run: nothing was written (give --output to keep it)")
        return 0
    document = {
        "format": "accel_logreg benchmarks",
        "version": FORMAT_VERSION,
        "command": " ".join(["python -m bench.run", *sys.argv[1:]]),
        "machine": description.to_dict(),
        "read_bandwidth_bytes_per_second": bandwidth,
        "benchmarks": records,
    }
    path = options.output or BENCH / "results" / f"{machine_name(description, options.gpu)}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as stream:
        stream.write((json.dumps(document, indent=1) + "\n").encode())
    print(f"written: {path}")
    return 0


def record(entry: dict[str, Any]) -> dict[str, Any]:
    """What is kept of one benchmark: the statistics a reader needs, and its configuration."""
    stats = entry["stats"]
    return {
        "group": entry["group"],
        "name": entry["name"],
        "median_seconds": stats["median"],
        "iqr_seconds": stats["iqr"],
        "min_seconds": stats["min"],
        "rounds": stats["rounds"],
        **entry["extra_info"],
    }


def machine_name(description: machine.Machine, gpu: bool) -> str:
    """A file name: cpu-intel-r-xeon-r-processor-2-cores, gpu-nvidia-h100."""
    if gpu:
        text = f"gpu {description.gpus[0].name}" if description.gpus else "gpu"
    else:
        text = f"cpu {description.cpu} {description.usable_cores} cores"
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def table(records: list[dict[str, Any]]) -> str:
    """One block a group, fastest first; the yardstick is a plain sum of X, or a copy on a GPU."""
    lines = []
    for group in dict.fromkeys(entry["group"] for entry in records):
        members = sorted((e for e in records if e["group"] == group), key=lambda e: e["median_seconds"])
        slowest = members[-1]["median_seconds"]
        lines.append(f"\n{group}")
        lines.append(
            f"  {'engine':26}{'threads':>8}{'median':>12}{'± iqr':>10}{'times faster':>14}"
            f"{'X GB/s':>9}{'of yardstick':>14}"
        )
        for entry in members:
            percent = entry.get("percent_of_yardstick")
            lines.append(
                f"  {entry.get('version', entry['engine']):26}{entry['threads']:>8}"
                f"{in_words(entry['median_seconds']):>12}"
                f"{100 * entry['iqr_seconds'] / entry['median_seconds']:>8.0f} %"
                f"{slowest / entry['median_seconds']:>14.1f}{entry['gigabytes_per_second']:>9.2f}"
                + (f"{percent:>12.0f} %" if percent is not None else f"{'':>14}")
            )
    return "\n".join(lines)


def in_words(seconds: float) -> str:
    """Four significant digits and a unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.4g} {unit}"
    return f"{seconds / 1e-9:.4g} ns"


if __name__ == "__main__":
    sys.exit(main())
