"""Revisions are exported and prepared without touching the checkout, and everything is cleaned up."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support.rounds_player import conduct

from bench.compare import revisions
from bench.compare import study as revision_study
from bench.compare.revisions import Checkout, Revision, RevisionError, Side
from bench.compare.study import Question, compare_revisions, conclude

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=someone", "-c", "user.email=someone@example.org")
    done = subprocess.run(["git", "-C", folder, *who, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """Two commits of a package, an uncommitted change, an ignored and a new file."""
    root = tmp_path / "checkout"
    (root / "accel_logreg").mkdir(parents=True)
    (root / "kernels").mkdir()
    git(root, "init", "--quiet", "--initial-branch=main")
    (root / "accel_logreg" / "kernels").symlink_to("../kernels")
    (root / "kernels" / "one.py").write_text("")
    (root / ".gitignore").write_text("ignored\n")
    (root / "pyproject.toml").write_text('[project]\nname = "x"\ndependencies = ["numpy"]\n')
    for content in ("first", "second"):
        (root / "accel_logreg" / "__init__.py").write_text(f"{content} = 1\n")
        git(root, "add", "--all")
        git(root, "commit", "--quiet", "--message", content)
    (root / "accel_logreg" / "__init__.py").write_text("third = 1\n")
    (root / "ignored").write_text("")
    (root / "new.py").write_text("")
    (root / "kernels" / "one.py").unlink()
    return Checkout.around(root / "accel_logreg")


@needs_git
def test_revisions_are_exported_without_touching_the_checkout(checkout: Checkout, tmp_path: Path) -> None:
    before = git(checkout.root, "status", "--porcelain", "--ignored")
    exported = {}
    for name in ("HEAD~1", "main", "WORKTREE", "."):
        tree = checkout.export(checkout.revision(name), tmp_path / f"tree{name}" / "a")
        exported[name] = (tree / "accel_logreg" / "__init__.py").read_text()[:5]
        assert (tree / "accel_logreg" / "kernels").readlink() == Path("../kernels")
        assert (tree / "new.py").exists() == (name in ("WORKTREE", "."))
        assert not (tree / "ignored").exists()
        assert [path.name for path in tree.parent.iterdir()] == ["a"]
    assert exported == {"HEAD~1": "first", "main": "secon", "WORKTREE": "third", ".": "third"}
    assert git(checkout.root, "status", "--porcelain", "--ignored") == before
    assert git(checkout.root, "worktree", "list").count("\n") == 0


@needs_git
def test_revisions_that_are_none_are_refused_in_words(checkout: Checkout, tmp_path: Path) -> None:
    with pytest.raises(RevisionError, match=r"'nonsense' is no revision of .* WORKTREE for the uncommitted"):
        checkout.revision("nonsense")
    with pytest.raises(RevisionError, match="'--help' is no revision"):
        checkout.revision("--help")
    with pytest.raises(RevisionError, match="is in no git checkout"):
        Checkout.around(tmp_path)
    git(checkout.root, "rm", "--quiet", "-r", "--force", "accel_logreg")
    git(checkout.root, "commit", "--quiet", "--message", "nothing left")
    with pytest.raises(RevisionError, match=r"has no accel_logreg/__init__\.py"):
        checkout.export(checkout.revision("HEAD"), tmp_path / "empty")


def test_git_that_is_missing_is_named() -> None:
    with pytest.raises(RevisionError, match="needs no-such-command, which is not installed"):
        revisions.run(["no-such-command"])
    with pytest.raises(RevisionError, match=r"failed \(3\): told why"):
        revisions.run([sys.executable, "-c", "import sys; print('told why', file=sys.stderr); sys.exit(3)"])


def test_labels_give_the_commit() -> None:
    commit = "7bb92d2" + "0" * 33
    assert Revision("HEAD", commit).label == "HEAD (7bb92d2)"
    assert Revision("7bb92", commit).label == "7bb92d2"
    assert Revision(".", None).label == "uncommitted tree"


def write_project(tree: Path, dependencies: str = '["numpy"]', constraints: str = "numpy==2.4.6\n") -> Path:
    tree.mkdir()
    extras = '[project.optional-dependencies]\nnumba = ["numba"]\ndev = ["pytest"]\n'
    (tree / "pyproject.toml").write_text(f"[project]\ndependencies = {dependencies}\n{extras}")
    (tree / "constraints.txt").write_text(constraints)
    return tree


def test_environments_of_their_own_are_needed_only_if_packages_differ(tmp_path: Path) -> None:
    base = write_project(tmp_path / "a")
    same = write_project(tmp_path / "b", constraints="# a remark\nnumpy==2.4.6\n")
    newer = write_project(tmp_path / "c", constraints="numpy==2.5.0\n")
    more = write_project(tmp_path / "d", '["numpy", "scipy"]')
    assert revisions.other_needs(base, same) == ""
    assert revisions.other_needs(base, newer) == "constraints.txt differs"
    assert "dependencies" in revisions.other_needs(base, more)


def test_a_revision_is_installed_with_its_own_constraints(tmp_path: Path) -> None:
    tree, asked = write_project(tmp_path / "a"), []

    def note(command: Sequence[str | Path]) -> str:
        asked.append([str(part) for part in command])
        return ""

    side = revisions.installed("base", tree, note)
    assert asked[0][1:] == ["-m", "venv", str(tmp_path / "a-environment")]
    assert asked[1][-3:] == ["--constraint", str(tree / "constraints.txt"), f"{tree}[numba]"]
    assert side.path is None
    assert side.python == tmp_path / "a-environment" / "bin" / "python"


@needs_git
@pytest.mark.parametrize("end", ["well", "Ctrl-C", "dead", "SIGTERM"])
def test_temporary_folders_go_whatever_happens(
    checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    seen: list[Path] = []

    def measured(a: Side, b: Side, question: Question, *, report: Any) -> Any:  # noqa: ARG001
        seen.extend((a.package, b.package))
        assert all(package.is_dir() for package in seen)
        match end:
            case "Ctrl-C":
                raise KeyboardInterrupt
            case "dead":
                raise RevisionError("died")
            case "SIGTERM":
                os.kill(os.getpid(), signal.SIGTERM)
        return conclude(conduct(), (a.label, b.label), question)

    monkeypatch.setattr(revision_study, "compare_sides", measured)
    before = signal.getsignal(signal.SIGTERM)
    if end == "well":
        study = compare_revisions(checkout, "HEAD~1", "WORKTREE", Question())
        assert study.b.revision == "uncommitted tree"
        assert study.remarks[0] == "Both with this interpreter and its packages: they need the same packages."
    else:
        with pytest.raises(RevisionError if end == "dead" else KeyboardInterrupt):
            compare_revisions(checkout, "HEAD~1", "WORKTREE", Question())
    assert len(seen) == 2
    assert list(folder.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) is before
