"""What a fit to a file takes of memory and of the disk is what it says; limits of control groups are seen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from accel_logreg import LogisticRegression
from accel_logreg.sources import memory, open_source

_FIT = """
import sys
from pathlib import Path
import numpy as np
from accel_logreg import LogisticRegression

def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) * 1024

def forget():
    Path("/proc/self/clear_refs").write_text("5")

path, allowed = sys.argv[1], int(sys.argv[2])
random = np.random.default_rng(0)
settings = {"backend": "numba", "solver": "newton"}
few = random.standard_normal((40_000, 20)).astype(np.float32)
LogisticRegression(**settings).fit(few, np.arange(len(few)) % 2)  # what is loaded once
y = (np.arange(1_500_000) % 2).astype(np.int8)
forget()
before = peak()
model = LogisticRegression(max_memory=allowed, **settings).fit(path, y)
print(peak() - before)
print(model.source_)
"""


def test_the_peak_is_what_was_allowed(tmp_path: Path) -> None:
    """Of 120 MB of X some stay; what is allowed and 5 %."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("there is no /proc/self/clear_refs, so no peak of a fit alone can be told")
    random = np.random.default_rng(1)
    np.save(tmp_path / "X.npy", random.standard_normal((1_500_000, 20), dtype=np.float32))
    allowed = 150_000_000
    ran = subprocess.run(
        [sys.executable, "-c", _FIT, str(tmp_path / "X.npy"), str(allowed)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    peak, source = ran.stdout.splitlines()
    assert int(peak) <= 1.05 * allowed, ran.stdout
    assert "33.6 MB kept in memory" in source


def test_bytes_from_the_disk_are_those_not_kept(tmp_path: Path) -> None:
    X = np.random.default_rng(0).standard_normal((20_000, 12))
    np.save(tmp_path / "X.npy", X)
    sourced = open_source(tmp_path / "X.npy", np.arange(len(X)) % 2)
    assert sourced is not None
    seen: dict[int, int] = {}

    def tell(read: int, _part: int, size: int) -> None:
        seen[read] = seen.get(read, 0) + size

    sourced.X.progress = tell
    model = LogisticRegression(backend="numpy", max_memory="1GB").fit(sourced.X, sourced.y)
    assert seen == {1: X.nbytes}  # all of it stayed
    assert f"{X.nbytes / 1e6:.3g} MB streamed" in model.source_


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"memory.max": "1000", "memory.current": "900", "memory.stat": "anon 5\ninactive_file 300"}, 400),
        ({"memory.max": "max", "memory.current": "900", "memory.stat": ""}, 7 << 10),
        (
            {
                "memory/memory.limit_in_bytes": "2000", "memory/memory.usage_in_bytes": "1500",
                "memory/memory.stat": "total_inactive_file 100",
            },
            600,
        ),
        ({}, 7 << 10),
    ],
)  # fmt: skip
def test_limits_of_a_control_group(
    files: dict[str, str], expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable: 7 kB\n")
    monkeypatch.setattr(memory, "CONTROL_GROUP", tmp_path)
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    assert memory.available_bytes() == expected
    assert memory.default_memory() == expected // 2
