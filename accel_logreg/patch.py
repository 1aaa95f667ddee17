"""Put our classes in scikit-learn's place, for code that cannot be edited.

``python -m accel_logreg.patch script.py arguments`` runs a script so, and says at the end what was fitted where.
"""

from __future__ import annotations

import atexit
import runpy
import sys
from pathlib import Path
from types import ModuleType

from sklearn import linear_model
from sklearn.ensemble import _stacking  # noqa: F401  # it holds the classes as well

from accel_logreg import drop_in

_NAMES = ("LogisticRegression", "LogisticRegressionCV")
_THEIRS = {name: getattr(drop_in, name).__mro__[1] for name in _NAMES}


def patch_sklearn(*, backend: str = "auto", verbose: bool = False) -> None:
    """Put ``accel_logreg.drop_in``'s classes in scikit-learn's place, in all modules that are loaded.

    Models that exist already stay what they are. Calling it again changes ``backend`` and ``verbose``.

    Parameters
    ----------
    backend : {"auto", "python", "numpy", "numba", "cupy"}, default "auto"
        The engine of all fits.
    verbose : bool, default False
        Whether every fit prints a line: fitted here, or handed over and why.
    """
    drop_in.settings.update(backend=backend, verbose=verbose)
    _replace({_THEIRS[name]: getattr(drop_in, name) for name in _NAMES})


def unpatch_sklearn() -> None:
    """Put scikit-learn's own classes back; models that were made meanwhile stay what they are."""
    _replace({getattr(drop_in, name): _THEIRS[name] for name in _NAMES})


def patch_report() -> str:
    """What has been fitted here and what by scikit-learn, and why: a line a class and reason."""
    lines = [
        f"{name}: {count} fit{'s' * (count != 1)} "
        + (what if what == drop_in.HERE else f"handed over to scikit-learn: {what}")
        for (name, what), count in sorted(drop_in.fits.items())
    ]
    return "\n".join(lines) or "no LogisticRegression was fitted"


def _replace(classes: dict[type, type]) -> None:
    """In every module's names, whatever they are called there; but for our own."""
    for module in list(sys.modules.values()):
        if not isinstance(module, ModuleType) or module.__name__.partition(".")[0] == "accel_logreg":
            continue
        for name, value in list(vars(module).items()):
            if isinstance(value, type) and value in classes:
                setattr(module, name, classes[value])


def main() -> None:
    """Run a script, or a module by ``-m``, with our classes in scikit-learn's place."""
    arguments = sys.argv[1:]
    module = arguments[:1] == ["-m"]
    if not arguments[module:] or arguments[0] in ("-h", "--help"):
        print(
            "usage: python -m accel_logreg.patch script.py [arguments]\n       python -m accel_logreg.patch -m module [arguments]"
        )
        sys.exit(0 if arguments else 2)
    patch_sklearn()
    atexit.register(lambda: print(f"accel_logreg\n{patch_report()}", file=sys.stderr))
    sys.argv = arguments[module:]
    if module:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
        runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
