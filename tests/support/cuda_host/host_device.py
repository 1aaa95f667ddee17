"""The CUDA kernels compiled for the host, behind the same ``Device`` that the launcher uses on a GPU.

Arrays are NumPy's; a launch is a request to the compiled driver. So the kernels, their plans, the order
and types of their arguments and the launcher itself are checked without a GPU.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.kernels.cupy_fused import programs
from accel_logreg.kernels.cupy_fused.dense.plan import Limits
from accel_logreg.kernels.cupy_fused.programs import MACHINE, PROGRAMS, Program

HERE = Path(__file__).parent
KERNEL_FOLDER = Path(programs.__file__).parent
FLAGS = ("-std=c++17", "-g0", "-Wall", "-Wno-unused-function", "-Wno-unknown-pragmas")
PLAIN = ("-O1", "-U_FORTIFY_SOURCE")  # which takes a jump to another stack for an attack
SANITIZERS = (
    "-O1",
    "-fsanitize=address,undefined",
    # What these notice the address sanitizer notices too; they take a fifth of the time to compile.
    "-fno-sanitize=null,object-size,pointer-overflow,nonnull-attribute,returns-nonnull-attribute",
    "-fno-sanitize-recover=all",
)
BROKEN = tuple(Program((str(HERE / name),)) for name in ("broken.cuh", "broken_grid.cuh"))
COOPERATIVE = frozenset(name for one in (*PROGRAMS, *BROKEN) if one.cooperative for name in one.kernels)
ONE_MULTIPROCESSOR = Limits(1, 100 << 10, 100 << 10)  # a grid of up to four blocks
NO_ROOM = Limits(1, 2 << 10, 2 << 10)  # no tile fits: every pass takes two reads


def compiler() -> str | None:
    """A C++ compiler of this machine, or None."""
    return shutil.which("g++") or shutil.which("clang++")


def sanitizers_work(cxx: str, folder: Path) -> bool:
    """Whether a program with the address and undefined-behaviour sanitizers can be built and run here."""
    probe = folder / "probe.cpp"
    probe.write_text("int main() { return 0; }\n")
    built = subprocess.run(
        [cxx, *SANITIZERS, probe, "-o", folder / "probe"], capture_output=True, check=False
    )
    return built.returncode == 0 and subprocess.run([folder / "probe"], check=False).returncode == 0


class Driver:
    """The compiled driver as a process that is started with its first launch, and again after a fault.

    sanitized : whether it notices an access that is out of bounds or not aligned
    """

    def __init__(self, program: Path, complaints: Path, *, sanitized: bool = False) -> None:
        self.sanitized = sanitized
        self._program, self._complaints = program, complaints
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, request: bytes) -> bytes:
        """The arrays that a launch wrote. Raises RuntimeError with what the driver says of a fault."""
        if self._process is None:
            pipe = subprocess.PIPE
            with self._complaints.open("wb") as file:  # a third pipe could fill up unread
                self._process = subprocess.Popen([self._program], stdin=pipe, stdout=pipe, stderr=file)
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        with suppress(BrokenPipeError):
            stdin.write(request)
            stdin.flush()
        size = stdout.readline()
        if size:
            return stdout.read(int(size))
        self.close()
        raise RuntimeError(self._complaints.read_text()[:4000])

    def close(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            with suppress(BrokenPipeError):
                self._process.communicate()
            self._process = None


NO_DRIVER = Driver(Path("never launched"), Path("never launched"))  # for what asks for no kernel


def build(cxx: str, shared: Path, own: Path, *, sanitized: bool) -> Driver:
    """The driver with every kernel, and the broken ones.

    The first process that asks compiles it, into a folder of ``shared`` that is named by all that it is made
    of; others wait for it. ``own`` is a folder of this process alone.
    """
    both = (*PROGRAMS, *BROKEN)
    files = dict.fromkeys(name for program in both for name in program.files)  # each once
    includes = [f'#include "{name}"' for name in files if name != MACHINE]  # that one is cuda_host.h
    entries = " ".join(f"RUN({name})" for program in both for name in program.kernels)
    text = "\n".join([*includes, f"#define ENTRY_POINTS(RUN) {entries}", ""])
    command = [cxx, *FLAGS, *(SANITIZERS if sanitized else PLAIN), f"-I{HERE}", f"-I{KERNEL_FOLDER}"]
    version = subprocess.run([cxx, "--version"], capture_output=True, check=True).stdout
    sources = [path for path in sorted(HERE.iterdir()) if path.suffix in (".h", ".cpp", ".cuh")]
    sources += [KERNEL_FOLDER / name for name in files]
    made_of = [version, text.encode(), " ".join(command).encode(), *(path.read_bytes() for path in sources)]
    folder = shared / f"cuda_host_{hashlib.sha256(b'|'.join(made_of)).hexdigest()[:16]}"
    folder.mkdir(exist_ok=True)
    program = folder / "driver"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            (folder / "kernels.inc").write_text(text)
            unfinished = folder / "unfinished"
            command += [f"-I{folder}", str(HERE / "driver.cpp"), "-o", str(unfinished)]
            built = subprocess.run(command, capture_output=True, text=True, check=False)
            if built.returncode:
                raise RuntimeError(f"the kernels do not compile for the host:\n{built.stderr[:8000]}")
            unfinished.rename(program)
    return Driver(program, own / f"{folder.name}.complaints", sanitized=sanitized)


@dataclass
class HostDevice:
    """Answers ``Device`` with the compiled driver.

    late_copies, descending : when asynchronous copies land, and the order in which threads run
    misaligned : elements by which X, y and s miss the alignment of an allocation
    launched : the names of the kernels launched so far
    """

    driver: Driver
    limits: Limits
    late_copies: bool = True
    descending: bool = False
    misaligned: int = 0
    memory: int = 1 << 40

    def __post_init__(self) -> None:
        self.launched: list[str] = []

    def free_bytes(self) -> int:
        return self.memory

    def empty(self, size: int, dtype: Any = np.float64) -> NDArray[Any]:
        return np.frombuffer(bytearray(b"\xff" * (size * np.dtype(dtype).itemsize)), dtype)  # NaN, or −1

    def for_user(self, size: int, dtype: Any) -> NDArray[Any]:
        return self.empty(size, dtype)

    def contiguous(self, array: NDArray[Any], dtype: Any) -> NDArray[Any]:
        return array.astype(dtype, order="C", copy=False)

    def expressions(self) -> AbstractContextManager[None]:
        return nullcontext()

    def after_fit(self) -> None:
        pass

    def release_memory(self) -> None:
        pass

    def upload(self, array: NDArray[Any]) -> NDArray[Any]:
        assert array.flags.c_contiguous
        wider = np.empty(array.size + self.misaligned, array.dtype)
        copy = wider[self.misaligned :].reshape(array.shape)
        copy[...] = array
        return copy

    def download(self, array: NDArray[Any]) -> NDArray[Any]:
        return array.copy()

    def stable_order(self, keys: NDArray[Any]) -> NDArray[Any]:
        return np.argsort(keys, kind="stable")

    def launch(
        self, kernel: str, grid: tuple[int, ...], threads: int, shared_bytes: int, args: tuple[Any, ...]
    ) -> None:
        self.launched.append(kernel)
        x, y = (*grid, 1)[:2]
        when = "late" if self.late_copies else "early"
        order = "descending" if self.descending else "ascending"
        how = "together" if kernel in COOPERATIVE else "alone"
        head = f"{kernel} {x} {y} {threads} {shared_bytes} {when} {order} {how} {len(args)}\n"
        answer = self.driver.ask(head.encode() + b"".join(map(_encoded, args)))
        self._store(answer, args, len(answer))

    @staticmethod
    def _store(answer: bytes, args: tuple[Any, ...], size: int) -> None:
        """Put the bytes of the arrays that the kernel may write, which are its last ones, back in place."""
        outputs: list[NDArray[Any]] = []
        for argument in reversed(args):
            if size and isinstance(argument, np.ndarray):
                outputs.insert(0, argument)
                size -= argument.nbytes
        assert size == 0, "the outputs of a kernel are its last arrays"
        for output in outputs:
            part, answer = answer[: output.nbytes], answer[output.nbytes :]
            output[...] = np.frombuffer(part, output.dtype).reshape(output.shape)


def _encoded(argument: Any) -> bytes:
    if argument is None:
        return b"null\n"
    if isinstance(argument, np.ndarray):
        assert argument.flags.c_contiguous
        shift = argument.ctypes.data % 16
        return f"array {argument.dtype.name} {argument.nbytes} {shift}\n".encode() + argument.tobytes()
    assert isinstance(argument, np.generic), f"{argument!r} must be a NumPy scalar of the kernel's type"
    value = float(argument).hex() if argument.dtype.kind == "f" else str(int(argument))
    return f"{argument.dtype.name} {value}\n".encode()
