"""A fresh Python process that measures: started, asked with a time limit, ended whatever it is doing.

This file is both ends. One makes a ``Process``; the other is started as ``python process.py DESCRIPTOR
TARGET``. It stands on the standard library alone, so that it also serves another interpreter, and a revision
of this project that never heard of it. Requests and answers are pickled over a pair of sockets: plain data,
or classes that both ends import. What a library prints goes to a log, whose end says why a process died.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[2]
_DYING = 5.0  # seconds that a process has to end after it has closed its connection
_TAIL = 2000  # characters of what a process printed


class ProcessEndedError(RuntimeError):
    """A process gave no answer and is gone.

    printed : str
        The end of what it wrote to standard output and error; the message has the last line of it.
    """

    def __init__(self, what: str, printed: str = "") -> None:
        lines = [line.strip() for line in printed.splitlines() if line.strip()]
        super().__init__(f"{what}: {lines[-1][:200]}" if lines else what)
        self.printed = printed


class Process:
    """One process and its target, a function ``make(task) -> answer``, whose ``answer(request)`` is asked.

    It leads a process group: Ctrl-C reaches only us, and the processes that it started end with it.

    Parameters
    ----------
    target : str
        "module:function", or "path/to/file.py:function" where the module is not on the other end's path.
    task : object
        What ``make`` is called with.
    environment : mapping of str to str, or None
        All variables of the process; None for ``inherited()``.
    python : path
        The interpreter.
    options : sequence of str
        More for the interpreter, such as ("-W", "ignore").
    folder : path or None
        Where it works; None for this process's own.
    starting : float
        Seconds to start Python, load the target and ``make``: the first answer may take so much longer.
    """

    def __init__(
        self,
        target: str,
        task: object = None,
        *,
        environment: Mapping[str, str] | None = None,
        python: str | Path = sys.executable,
        options: Sequence[str] = (),
        folder: Path | None = None,
        starting: float = 120.0,
    ) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        self._connection, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                # -P: the folder of this file is no place to import from.
                [str(python), "-P", *options, __file__, str(theirs.fileno()), target],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=inherited() if environment is None else dict(environment),
                start_new_session=True,
            )
        self._starting: float | None = starting  # None once it is ready
        self.post(task)

    @property
    def alive(self) -> bool:
        """It was not ended, as it is when it gives no answer."""
        return not self._connection.closed

    def ask(self, request: object, limit: float) -> Any:
        """The answer to this request, within ``limit`` seconds.

        Raises
        ------
        ProcessEndedError
            There is none; the process is gone.
        """
        self.post(request)
        return self.reply(limit)

    def post(self, request: object) -> None:
        """Hand over a request without waiting for its answer, so that several processes can be busy."""
        with suppress(ConnectionError):  # it has died, as whoever waits for the answer is told
            self._connection.send(request)

    def reply(self, limit: float) -> Any:
        """The answer to the oldest request that has none yet; see ``ask``."""
        if self._starting is not None:
            self._receive(self._starting)
            self._starting = None
        return self._receive(limit)

    def _receive(self, limit: float) -> Any:
        try:
            if self._connection.poll(limit):
                return self._connection.recv()
            what = f"did not finish in {limit:.3g} s"
        except (EOFError, ConnectionError):
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_DYING)  # of its own, for the status that says why
            what = f"its process ended with status {self._process.returncode}"
        self._end()
        raise ProcessEndedError(what, self._printed())

    def close(self) -> None:
        """End it and what it started, and wait until it is gone: what follows must not share its cores."""
        self._end()
        self._log.close()

    def _end(self) -> None:
        if self.alive:
            self._connection.close()
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _printed(self) -> str:
        self._log.seek(max(0, self._log.seek(0, os.SEEK_END) - _TAIL))
        return self._log.read().decode(errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


def inherited(**more: str) -> dict[str, str]:
    """This process's variables, and its way of finding modules, with ``more`` variables set."""
    path = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    return {**os.environ, "PYTHONPATH": path, **more}


def function(name: str) -> Callable[..., Any]:
    """What "module:function" names, or "path/to/file.py:function"."""
    place, _, attribute = name.rpartition(":")
    if place.endswith(".py"):
        spec = importlib.util.spec_from_file_location(Path(place).stem, place)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
    else:
        module = importlib.import_module(place)
    found: Callable[..., Any] = getattr(module, attribute)
    return found


def _serve(descriptor: int, target: str) -> None:
    """The other end: ready once the target is made, then an answer for each request until nobody asks."""
    with Connection(descriptor) as connection:
        answer = function(target)(connection.recv())
        connection.send(None)
        while True:
            try:
                request = connection.recv()
            except EOFError:
                return
            connection.send(answer(request))


if __name__ == "__main__":
    _serve(int(sys.argv[1]), sys.argv[2])
