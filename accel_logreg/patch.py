"""Put our classes in scikit-learn's place, for code that cannot be edited.

``python -m accel_logreg.patch script.py`` runs a script so, and says at the end what was fitted where.
"""

from __future__ import annotations

import atexit
import runpy
import sys
from pathlib import Path
from types import ModuleType

from sklearn.ensemble import _stacking  # noqa: F401  # it holds the classes as well

from accel_logreg import drop_in
from accel_logreg.backends import load_backend

_HELP = """Runs a script with sklearn.linear_model.LogisticRegression and LogisticRegressionCV replaced
by accel_logreg's. At the end a line on stderr says what was fitted here, and what was handed over and why."""
_OURS = {kind.__mro__[1]: kind for kind in (drop_in.LogisticRegression, drop_in.LogisticRegressionCV)}
_replaced: list[tuple[ModuleType, str]] = []


def patch_sklearn(*, backend: str = "auto", verbose: bool = False) -> None:
    """Put ``accel_logreg.drop_in``'s classes in scikit-learn's place, in all modules that are loaded.

    Models that exist already stay what they are. Calling it again changes ``backend`` and ``verbose``.

    Parameters
    ----------
    backend : {"auto", "python", "numpy", "numba", "cupy"}, default "auto"
        The engine of all fits.
    verbose : bool, default False
        Whether every fit prints a line: fitted here, or handed over and why.

    Raises
    ------
    BackendUnavailableError
        The named engine cannot run here; nothing is replaced.
    """
    if backend != "auto":
        load_backend(backend)
    drop_in.set_up(backend, verbose=verbose)
    for module in list(sys.modules.values()):  # whatever the classes are called there; but for our own
        called = getattr(module, "__name__", None)
        if not isinstance(called, str) or called.partition(".")[0] == __package__:
            continue
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if isinstance(value, type) and value in _OURS:
                setattr(module, name, _OURS[value])
                _replaced.append((module, name))


def unpatch_sklearn() -> None:
    """Put scikit-learn's own classes back; models that were made meanwhile stay what they are."""
    while _replaced:
        module, name = _replaced.pop()
        value = vars(module).get(name)
        if isinstance(value, type) and value in _OURS.values():
            setattr(module, name, next(there for there, ours in _OURS.items() if ours is value))


def patch_report() -> str:
    """What has been fitted here and what by scikit-learn, and why: a line a class and reason."""
    lines = [
        f"{name}: {count} fit{'s' * (count != 1)} "
        + (what if what == drop_in.HERE else f"handed over to scikit-learn: {what}")
        for (name, what), count in sorted(drop_in.fits.items())
    ]
    return "\n".join(lines) or "no LogisticRegression was fitted"


def main() -> None:
    """Run a script, or a module by ``-m``, with our classes in scikit-learn's place."""
    arguments = sys.argv[1:]
    module = arguments[:1] == ["-m"]
    if len(arguments) <= module or arguments[0] in ("-h", "--help"):
        print(f"usage: python -m accel_logreg.patch (script.py | -m module) [its arguments]\n\n{_HELP}")
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
