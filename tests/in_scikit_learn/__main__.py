"""scikit-learn's installed tests with our classes in place: ``python -m tests.in_scikit_learn``.

All modules that name LogisticRegression; ``--short`` is its own tests alone, without one that takes as long
as two hundred others. Other arguments are pytest's.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import sklearn

ROOT = Path(__file__).parents[2]


def modules(*, short: bool) -> list[str]:
    """The test modules, as ``--pyargs`` takes them."""
    own = "sklearn.linear_model.tests.test_logistic"
    if short:
        return [own]
    home = Path(sklearn.__file__).parent
    named = (
        path.relative_to(home.parent).with_suffix("")
        for path in sorted(home.rglob("test_*.py"))
        if "LogisticRegression" in path.read_text(encoding="utf-8")
    )
    return [".".join(path.parts) for path in named]


def command(arguments: list[str]) -> tuple[list[str], dict[str, str]]:
    """What runs them, and in which environment."""
    short = "--short" in arguments
    others = [argument for argument in arguments if argument != "--short"]
    environment = {**os.environ, "SCIPY_ARRAY_API": "1", "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    pytest = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-c",
        os.devnull,
        "--rootdir",
        str(Path(sklearn.__file__).parent),
    ]
    # Where CuPy has no device scikit-learn's tests of it fail whatever class they are given.
    unasked = "not cupy and not test_elastic_net_vs_l1_l2[1000000.0]" if short else "not cupy"
    chosen = [
        "-p",
        "tests.in_scikit_learn.plugin",
        "-p",
        "no:cacheprovider",
        "-k",
        unasked,
        "-W",
        "ignore",
    ]
    return [*pytest, *chosen, *others, "--pyargs", *modules(short=short)], environment


def main() -> int:
    """pytest's exit code: 0 where all that differs has a reason."""
    line, environment = command(sys.argv[1:])
    with tempfile.TemporaryDirectory() as empty:  # whose names are not to stand before those of packages
        return subprocess.run(line, env=environment, cwd=empty).returncode


if __name__ == "__main__":
    sys.exit(main())
