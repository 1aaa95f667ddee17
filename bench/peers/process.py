"""A worker seen from the orchestrator: started, asked with a time limit, ended whatever it is doing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from multiprocessing import Pipe
from pathlib import Path
from typing import Self

from bench.peers.messages import Reply, Request, Task

_STARTING = 120.0  # seconds to start Python and load the data


class Process:
    """One solver's process on one problem.

    Parameters
    ----------
    task : Task
    log : Path
        Where it may print; its last line says why it ended, if it did.
    environment : pairs of (name, value)
        Variables besides the orchestrator's own.
    """

    def __init__(self, task: Task, log: Path, environment: Iterable[tuple[str, str]] = ()) -> None:
        self._log = log
        self._connection, theirs = Pipe()
        # The worker finds modules where the orchestrator does.
        path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)])
        with theirs, log.open("wb") as stream:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bench.peers.worker", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                env={**os.environ, "PYTHONPATH": path, **dict(environment)},
            )
        self.starting = self._exchange(task, _STARTING)

    def ask(self, request: Request, limit: float) -> Reply:
        """The answer, or why there is none: a worker that takes longer than ``limit`` seconds is ended."""
        return self._exchange(request, limit)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None and not self._connection.closed

    def _exchange(self, message: Task | Request, limit: float) -> Reply:
        try:
            self._connection.send(message)
            if not self._connection.poll(limit):
                self.close()
                return Reply(trouble=f"did not finish in {limit:.3g} s")
            reply: Reply = self._connection.recv()
            return reply
        except (EOFError, ConnectionError, BrokenPipeError):
            self.close()
            return Reply(
                trouble=f"its process ended with status {self._process.returncode}{self._last_words()}"
            )

    def _last_words(self) -> str:
        lines = [line.strip() for line in self._log.read_text(errors="replace").splitlines() if line.strip()]
        return f": {lines[-1][:200]}" if lines else ""

    def close(self) -> None:
        """End it, and wait until it is gone: what follows must not share its cores."""
        self._connection.close()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()
