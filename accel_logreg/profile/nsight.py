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
    """One profiler."""

    executable: str
    name: str
    shows: str

    def path(self) -> str | None:
        """Where it is on PATH; None where it is not."""
        return shutil.which(self.executable)

    def report(self, folder: Path) -> Path:
        """What it writes there."""
        return folder / f"profile-{self.executable}.{self.executable}-rep"

    def origin(self) -> str:
        page = self.name.lower().replace(" ", "-")
        return f"with the CUDA Toolkit, or alone from https://developer.nvidia.com/{page}"

    def command(self, arguments: Sequence[str], folder: Path, engine: str) -> list[str]:
        """``python -m accel_logreg profile`` with these arguments, under the tool; it reports to a folder.

        Nsight Compute looks into the profiled fit alone, by its NVTX range: it runs every kernel there
        dozens of times, so one fit is enough.
        """
        if self is COMPUTE:
            head = ["--set", "full", "--nvtx", "--nvtx-include", f"{FIT}/", "--target-processes", "all"]
            head += ["--force-overwrite", "--export"]
        else:
            trace = "cuda,nvtx,osrt" if engine == "cupy" else "nvtx,osrt"
            head = ["profile", "--trace", trace, "--force-overwrite", "true", "--output"]
        report = str(self.report(folder).with_suffix(""))
        return [self.executable, *head, report, sys.executable, "-m", "accel_logreg", "profile", *arguments]


SYSTEMS = Tool("nsys", "Nsight Systems", "a timeline of stages, questions, kernels and copies")
COMPUTE = Tool("ncu", "Nsight Compute", "the hardware counters of every kernel of one fit")
