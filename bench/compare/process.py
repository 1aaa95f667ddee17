"""The other end of ``bench/compare/worker.py``: its process, questions sent and answers awaited."""

from __future__ import annotations

import json
import os
import select
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

WORKER = Path(__file__).with_name("worker.py")
_LONGEST = 600.0  # seconds for an answer: compiling takes tens, and longer means that it hangs
_TAIL = 600  # characters of what a process wrote before it died


class RevisionError(ValueError):
    """A revision cannot be exported, installed or measured; the message says why."""


class Measurer(Protocol):
    """One process that measures one revision. Requests are answered in the order in which they are posted."""

    def post(self, request: dict[str, Any]) -> None: ...

    def reply(self) -> dict[str, Any]: ...

    def end(self) -> None: ...


@dataclass(frozen=True)
class Side:
    """A revision ready to be measured.

    label : what it is called in the table
    python : the interpreter
    path : the folder to put on Python's path; None where the package is installed for ``python``
    package : the folder that ``accel_logreg`` has to come from, or lie under
    """

    label: str
    python: Path
    path: Path | None
    package: Path


class WorkerProcess:
    """A worker of its own session: Ctrl-C reaches only us, and we end it."""

    def __init__(self, side: Side, threads: int | None, shapes: Sequence[tuple[int, int]]) -> None:
        self._side = side
        options = json.dumps({"threads": threads, "shapes": shapes})
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            [str(side.python), "-P", str(WORKER), options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=side.package.parent,
            env=_environment(side.path),
            start_new_session=True,
        )
        self._greeted = False

    def post(self, request: dict[str, Any]) -> None:
        if not self._greeted:
            self._greeted = True
            self._greet()
        self._write(request)

    def _greet(self) -> None:
        """It has to measure the code that it was started for."""
        self._write({"do": "hello"})
        answer = self._read()
        package = Path(answer["package"]).resolve() if "package" in answer else None
        if package is None:
            raise RevisionError(f"{self._side.label}: accel_logreg does not load: {answer['unavailable']}")
        if not package.is_relative_to(self._side.package.resolve()):
            raise RevisionError(
                f"{self._side.label}: accel_logreg came from {package} and not from {self._side.package}, so "
                "another code would be measured; something puts that folder first on Python's path"
            )

    def _write(self, request: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._dead() from None

    def reply(self) -> dict[str, Any]:
        return self._read()

    def end(self) -> None:
        """Kill it: it holds nothing that would have to be saved."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            if stream is not None:
                with suppress(BrokenPipeError):  # a request that it never read
                    stream.close()

    def _read(self) -> dict[str, Any]:
        out = self._process.stdout
        assert out is not None
        # One line an answer and one answer a request: nothing is left in the buffer when we wait.
        if not select.select([out], [], [], _LONGEST)[0]:
            raise RevisionError(f"{self._side.label}: no answer in {_LONGEST:.0f} s; the process was ended")
        line = out.readline()
        if not line:
            raise self._dead()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _dead(self) -> RevisionError:
        code = self._process.wait()
        self._log.seek(0)
        told = " ".join(self._log.read().split())[-_TAIL:]
        return RevisionError(
            f"{self._side.label}: the measuring process ended ({code}): {told or 'silently'}"
        )


def _environment(path: Path | None) -> dict[str, str]:
    """Ours, but for what leads to other code, or leaves compiled kernels outside of the revision's folder."""
    dropped = ("PYTHONPATH", "PYTHONHOME", "NUMBA_CACHE_DIR", "PYTHONSTARTUP")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    kept["PYTHONHASHSEED"] = "0"
    return kept if path is None else {**kept, "PYTHONPATH": str(path)}
