"""The commands of ``accel-logreg`` and their order in the help."""

from __future__ import annotations

from typing import Annotated

import typer

import accel_logreg
from accel_logreg.cli.check import check
from accel_logreg.cli.common import WithJsonFile
from accel_logreg.cli.doctor import doctor
from accel_logreg.cli.predict import predict
from accel_logreg.cli.probe import probe
from accel_logreg.cli.profile import profile
from accel_logreg.cli.speedup import speedup
from accel_logreg.cli.train import train

app = typer.Typer(
    help="""accel-logreg train flowers.csv --target kind --output model.json

    Exact logistic regression, one trainer on four engines: python, numpy, numba and cupy.""",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # its frames leave half of 80 columns to the text
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (doctor, train, predict, probe, speedup, profile, check):
    # The list of commands says what each does, its own help begins with an example.
    shown = str(command.__doc__).split("\n\n")[1].partition(". ")[0].removesuffix(".")
    app.command(short_help=shown, cls=WithJsonFile if command in (probe, profile) else None)(command)


def _moved(name: str, module: str, needs: str) -> None:
    """A command that a checkout has and a wheel cannot run: say where it went."""

    anything = {"allow_extra_args": True, "ignore_unknown_options": True}

    @app.command(name, hidden=True, context_settings=anything)
    def _point() -> None:
        typer.echo(
            f"accel-logreg {name} has moved: run python -m {module} in a checkout, for it needs "
            f"{needs}. Its options are the same.",
            err=True,
        )
        raise typer.Exit(2)


_moved("compare", "bench.compare", "git and the revisions to be compared")
_moved("kernels", "bench.kernels_report", "only what developers of the kernels have")


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(accel_logreg.__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass
