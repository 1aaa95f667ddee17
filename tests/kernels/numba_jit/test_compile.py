"""How kernels are compiled: the cache on disk, what makes it stale, what it survives; and the flags."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from accel_logreg.kernels.numba_jit import compile as numba_compile

_CALLER = """
from copy_of_kernels.compile import jit
from copy_of_kernels.parts.helper import helper

@jit()
def caller(x):
    return helper(x) + 1.0

if __name__ == "__main__":
    print(caller(3.0), sum(caller.stats.cache_hits.values()))
"""
_HELPER = """
from copy_of_kernels.compile import jit

@jit()
def helper(x):
    return 2.0 * x
"""


class Package:
    """A package that compiles as numba_jit does: a caller, and a helper in another file and folder."""

    def __init__(self, root: Path) -> None:
        self._root, self.folder = root, root / "copy_of_kernels"
        (self.folder / "parts").mkdir(parents=True)
        shutil.copy(numba_compile.__file__, self.folder / "compile.py")
        (self.folder / "caller.py").write_text(_CALLER)
        self.helper = self.folder / "parts" / "helper.py"
        self.helper.write_text(_HELPER)

    def run(self, answer: float, *, cached: bool) -> str:
        """Call it in a process of its own; what that says on stderr."""
        process = self.start()
        out, err = process.communicate()
        assert out.split() == [str(answer), str(int(cached))], err
        return err

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "copy_of_kernels.caller"],
            cwd=self._root,
            # Bytecode is known by its source's size and second, and these sources change within one.
            env={**os.environ, "NUMBA_CACHE_DIR": "", "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def cached(self, ending: str) -> list[Path]:
        return sorted(self.folder.rglob(f"__pycache__/*.{ending}"))


@pytest.fixture
def package(tmp_path: Path) -> Package:
    return Package(tmp_path)


def test_a_changed_helper_in_another_file_is_compiled_into_its_callers(package: Package) -> None:
    package.run(7.0, cached=False)
    package.run(7.0, cached=True)
    package.helper.write_text(_HELPER.replace("2.0", "5.0"))
    package.run(16.0, cached=False)
    package.run(16.0, cached=True)


def test_a_damaged_cache_is_no_cache(package: Package) -> None:
    """Truncated or overwritten, the index or what it points to: compiled anew, and kept."""
    package.run(7.0, cached=False)
    for ending, size in (("nbi", 60), ("nbc", 1000), ("nbc", 0)):
        files = package.cached(ending)
        assert files
        for path in files:
            path.write_bytes(path.read_bytes()[:size] or bytes(100))
        package.run(7.0, cached=False)
        package.run(7.0, cached=True)


def test_machine_code_of_other_sources_is_not_taken(package: Package) -> None:
    """As between two writes of another process: the index is new, what it points to is not yet."""
    package.run(7.0, cached=False)
    old = {path: path.read_bytes() for path in package.cached("nbc")}
    package.helper.write_text(_HELPER.replace("2.0", "5.0"))
    package.run(16.0, cached=False)
    for path, content in old.items():
        path.write_bytes(content)
    package.run(16.0, cached=False)


def test_processes_at_once(package: Package) -> None:
    for process in [package.start() for _ in range(4)]:
        out, err = process.communicate()
        assert out.split()[0] == "7.0", err
    package.run(7.0, cached=True)


@pytest.mark.usefixtures("no_warning_yet")
def test_a_folder_that_is_no_longer_writable(monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(numba_compile._CacheFile, "save", full_disk)
    with pytest.warns(RuntimeWarning, match="Set NUMBA_CACHE_DIR"):
        assert numba_compile.jit()(lambda x: 2.0 * x)(2.0) == 4.0


@pytest.fixture
def no_warning_yet() -> Iterator[None]:
    numba_compile._warn_of_no_cache.cache_clear()
    yield
    numba_compile._warn_of_no_cache.cache_clear()


@pytest.mark.usefixtures("no_warning_yet")
def test_without_a_folder_one_warning_and_working_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba_compile._KernelCache._impl_class, "_locator_classes", [])
    with pytest.warns(RuntimeWarning, match="Set NUMBA_CACHE_DIR") as warned:
        kernels = [numba_compile.jit()(lambda x: 2.0 * x), numba_compile.jit()(lambda x: 3.0 * x)]
    assert len(warned) == 1
    assert [kernel(2.0) for kernel in kernels] == [4.0, 6.0]
    assert kernels[0].stats.cache_path is None  # accel_logreg.doctor says so


def test_numba_that_may_not_compile_is_no_engine() -> None:
    script = (
        "import accel_logreg as a; print(a.LogisticRegression().fit([[0.0], [1.0]] * 9, [0, 1] * 9).backend_)"
    )
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    out = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert out.stdout.strip() == "numpy", out.stderr


def test_flags_leave_nan_alone() -> None:
    """fastmath=True would allow LLVM to assume that NaN does not happen."""
    assert not {"nnan", "ninf", "fast"} & (numba_compile.FLAGS | numba_compile.IN_ORDER)
