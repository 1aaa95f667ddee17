"""Nsight Systems and Nsight Compute around a command of ours: where they are, and the exact command line."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from accel_logreg.profile.record import FIT


@dataclass(frozen=True)
class Tool:
    """One profiler: its executable, its name, what it shows and where it comes from."""

    executable: str
    name: str
    shows: str
    origin: str
    report: str

    def path(self) -> str | None:
        """Where it is on PATH; None where it is not."""
        return shutil.which(self.executable)


SYSTEMS = Tool(
    "nsys",
    "Nsight Systems",
    "a timeline of stages, questions, kernels and copies",
    "with the CUDA Toolkit, or alone from https://developer.nvidia.com/nsight-systems",
    "nsys-rep",
)
COMPUTE = Tool(
    "ncu",
    "Nsight Compute",
    "the hardware counters of every kernel of one fit",
    "with the CUDA Toolkit, or alone from https://developer.nvidia.com/nsight-compute",
    "ncu-rep",
)


def command(tool: Tool, arguments: Sequence[str], folder: Path, engine: str) -> list[str]:
    """``python -m accel_logreg profile`` with these arguments under the tool; its report goes to ``folder``.

    Nsight Compute looks into the profiled fit alone, by its NVTX range: it runs every kernel there dozens
    of times, so one fit is enough.
    """
    report = str(folder / f"profile-{tool.executable}")
    if tool is COMPUTE:
        options = ["--set", "full", "--nvtx", "--nvtx-include", f"{FIT}/", "--target-processes", "all"]
        head = [tool.executable, *options, "--force-overwrite", "--export", report]
    else:
        trace = "cuda,nvtx,osrt" if engine == "cupy" else "nvtx,osrt"
        options = ["--trace", trace, "--force-overwrite", "true", "--output", report]
        head = [tool.executable, "profile", *options]
    return [*head, sys.executable, "-m", "accel_logreg", "profile", *arguments]


def missing(tool: Tool, command_line: str) -> list[str]:
    """What to say where the tool is not found: the command that would have run, and where it comes from."""
    why = f"{tool.name} ({tool.executable}) was not found on PATH; it comes {tool.origin}."
    return [f"{why} Where it is, this shows {tool.shows}:", command_line]
