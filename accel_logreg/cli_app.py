"""The commands of ``accel-logreg`` and their order in the help."""

from __future__ import annotations

from typing import Annotated

import typer

import accel_logreg
from accel_logreg.cli_compare import compare
from accel_logreg.cli_kernels import kernels
from accel_logreg.cli_lab import check, doctor, speedup
from accel_logreg.cli_predict import predict
from accel_logreg.cli_profile import profile
from accel_logreg.cli_train import train

app = typer.Typer(
    help="Exact logistic regression, one trainer on four engines: python, numpy, numba and cupy.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for command in (doctor, train, predict, speedup, profile, kernels, compare, check):
    app.command()(command)


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
