"""Two revisions of a checkout, each in a temporary folder of its own and ready to be measured.

``git archive`` writes a commit's files without touching the checkout, its index or its list of worktrees.
The uncommitted tree ("WORKTREE" or ".") is copied, files that git ignores left out. Both get names of equal
length, because the length of a path moves a process's stack and with it its times.

Where both revisions need the same packages, this interpreter measures both. Where they do not, each is
installed into an environment of its own, with its own constraints.txt.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.harness.process import Process, ProcessEndedError

UNCOMMITTED = ("WORKTREE", ".")
PACKAGE = "accel_logreg"
Run = Callable[[Sequence[str | Path]], str]

_WORKER = Path(__file__).with_name("worker.py")
_LONGEST = 600.0  # seconds for an answer: compiling takes tens, and longer means that it hangs


class RevisionError(ValueError):
    """A revision cannot be exported, installed or measured; the message says why."""


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


class Worker:
    """The process that measures one side, see ``worker.py``; what it measures is this side and no other."""

    def __init__(self, side: Side, threads: int | None, shapes: Sequence[tuple[int, int]]) -> None:
        self._side, self._greeted = side, False
        self._process = Process(
            f"{_WORKER}:serve",
            {"threads": threads, "shapes": shapes},
            environment=_environment(side.path),
            python=side.python,
            folder=side.package.parent,
        )

    def post(self, **request: Any) -> None:
        """Hand over a request; requests are answered in the order in which they are posted."""
        if not self._greeted:
            self._greeted = True
            self._process.post({"do": "hello"})
            self._check(self.reply())
        self._process.post(request)

    def reply(self) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = self._process.reply(_LONGEST)
        except ProcessEndedError as error:
            raise RevisionError(f"{self._side.label}: the measuring process died: {error}") from None
        return answer

    def end(self) -> None:
        self._process.close()

    def _check(self, hello: dict[str, Any]) -> None:
        if "package" not in hello:
            raise RevisionError(f"{self._side.label}: accel_logreg does not load: {hello['unavailable']}")
        package = Path(hello["package"]).resolve()
        if not package.is_relative_to(self._side.package.resolve()):
            raise RevisionError(
                f"{self._side.label}: accel_logreg came from {package} and not from {self._side.package}, so "
                "another code would be measured; something puts that folder first on Python's path"
            )


def _environment(path: Path | None) -> dict[str, str]:
    """Ours, but for what leads to other code, or leaves compiled kernels outside of the revision's folder."""
    dropped = ("PYTHONPATH", "PYTHONHOME", "NUMBA_CACHE_DIR", "PYTHONSTARTUP")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    kept["PYTHONHASHSEED"] = "0"
    return kept if path is None else {**kept, "PYTHONPATH": str(path)}


def run(command: Sequence[str | Path]) -> str:
    """Standard output of a command.

    Raises
    ------
    RevisionError
        It is not installed, or fails; the message has what it said.
    """
    line = [str(part) for part in command]
    try:
        done = subprocess.run(line, capture_output=True, text=True, errors="replace", check=False)
    except FileNotFoundError:
        raise RevisionError(f"comparing revisions needs {line[0]}, which is not installed") from None
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split())[-600:]
        raise RevisionError(f"{' '.join(line[:4])} … failed ({done.returncode}): {said}")
    return done.stdout


@dataclass(frozen=True)
class Revision:
    """name : as it was asked for; commit : its hash, None for the uncommitted tree."""

    name: str
    commit: str | None

    @property
    def label(self) -> str:
        """HEAD~1 (7bb92d2)."""
        if self.commit is None:
            return "uncommitted tree"
        short = self.commit[:7]
        return short if self.commit.startswith(self.name) else f"{self.name} ({short})"


@dataclass(frozen=True)
class Checkout:
    """A git checkout of this project, found from a folder inside it."""

    root: Path
    run: Run = run

    @classmethod
    def around(cls, folder: Path, run: Run = run) -> Checkout:
        """The checkout that ``folder`` lies in.

        Raises
        ------
        RevisionError
            There is none.
        """
        try:
            return cls(Path(run(["git", "-C", folder, "rev-parse", "--show-toplevel"]).strip()), run)
        except RevisionError as error:
            raise RevisionError(
                f"{folder} is in no git checkout of which revisions could be compared ({error})"
            ) from None

    def revision(self, name: str) -> Revision:
        """The commit that a name means.

        Raises
        ------
        RevisionError
            It means none.
        """
        if name in UNCOMMITTED:
            return Revision(name, None)
        try:
            asked = ["rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}"]
            return Revision(name, self.run(["git", "-C", self.root, *asked]).strip())
        except RevisionError:
            raise RevisionError(
                f"{name!r} is no revision of {self.root}; name a commit, a branch, a tag, or WORKTREE for "
                "the uncommitted tree"
            ) from None

    def export(self, revision: Revision, folder: Path) -> Path:
        """Write the files of a revision into a new folder, and return it.

        Raises
        ------
        RevisionError
            It holds no accel_logreg.
        """
        folder.mkdir(parents=True)
        if revision.commit is None:
            self._copy(folder)
        else:
            packed = folder.with_suffix(".tar")
            self.run(["git", "-C", self.root, "archive", f"--output={packed}", revision.commit])
            with tarfile.open(packed) as archive:
                # Early releases of 3.11 have no filters; git wrote this archive, and it is of this checkout.
                archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
                archive.extractall(folder)
            packed.unlink()
        if not (folder / PACKAGE / "__init__.py").is_file():
            raise RevisionError(f"{revision.label} has no {PACKAGE}/__init__.py: there is nothing to measure")
        return folder

    def _copy(self, folder: Path) -> None:
        listed = self.run(
            ["git", "-C", self.root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        )
        for name in dict.fromkeys(filter(None, listed.split("\0"))):
            source, target = self.root / name, folder / name
            if source.is_symlink() or source.is_file():  # not deleted, and no submodule
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target, follow_symlinks=False)


def other_needs(a: Path, b: Path) -> str:
    """In what the packages that two trees need differ, in words; empty where they need the same."""
    if _needs(a) != _needs(b):
        return "the dependencies in pyproject.toml differ"
    return "" if _constraints(a) == _constraints(b) else "constraints.txt differs"


def uninstalled(label: str, tree: Path) -> Side:
    """Measured by this interpreter, straight from the tree."""
    return Side(label, Path(sys.executable), tree, tree / PACKAGE)


def installed(label: str, tree: Path, run: Run = run) -> Side:
    """Installed into a new environment beside the tree, with the tree's own constraints.

    Raises
    ------
    RevisionError
        pip or venv failed.
    """
    environment = tree.with_name(f"{tree.name}-environment")
    run([sys.executable, "-m", "venv", environment])
    python = environment / "bin" / "python"
    command: list[str | Path] = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    if (tree / "constraints.txt").is_file():
        command += ["--constraint", tree / "constraints.txt"]
    run([*command, f"{tree}[{','.join(_extras(tree))}]"])
    return Side(label, python, None, environment)


def _extras(tree: Path) -> list[str]:
    """numba, and CuPy's where this interpreter has it, as far as the revision offers them."""
    offered = _project(tree).get("optional-dependencies", {})
    wanted = ["numba"]
    names = {distribution.name.lower() for distribution in metadata.distributions()}
    wanted += [f"cuda{version}" for version in ("12", "13") if f"cupy-cuda{version}x" in names]
    return [extra for extra in wanted if extra in offered]


def _needs(tree: Path) -> tuple[object, ...]:
    project = _project(tree)
    extras = project.get("optional-dependencies", {})
    wanted = {name: packages for name, packages in extras.items() if name in ("numba", "cuda12", "cuda13")}
    return project.get("dependencies"), project.get("requires-python"), wanted


def _project(tree: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8")).get(
            "project", {}
        )
    except FileNotFoundError:
        return {}
    except tomllib.TOMLDecodeError as error:
        raise RevisionError(f"pyproject.toml of {tree.name} cannot be read: {error}") from None
    return found


def _constraints(tree: Path) -> list[str]:
    try:
        lines = (tree / "constraints.txt").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    return sorted(line.strip() for line in lines if line.strip() and not line.startswith("#"))
