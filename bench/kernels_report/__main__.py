"""``python -m bench.kernels_report``: what each CUDA kernel takes of a GPU, found out without one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from accel_logreg.cli.common import AsJson, JsonFile, WithJsonFile, note, optional, out, reports_errors
from accel_logreg.files.atomic import atomic_write
from accel_logreg.kernels.cupy_fused.programs import ARCHITECTURES
from accel_logreg.measure.table import say, show
from bench.kernels_report.use import KernelUse, capability, kernel_uses, use_table


@reports_errors
def kernels(
    arch: Annotated[
        list[str] | None,
        typer.Option(help="A compute capability such as 9.0; repeat for more. All we name if not given."),
    ] = None,
    most_spills: Annotated[
        int | None, optional("Fail if a kernel spills more bytes than this, stores and loads together.")
    ] = None,
    as_json: AsJson = False,
    json_file: JsonFile = None,
) -> None:
    """Compile the CUDA kernels and report registers, shared and constant memory, and spills.

    Needs NVRTC and no GPU. The exit code is 1 if a kernel spills more than --most-spills.
    """
    architectures = ARCHITECTURES if not arch else tuple(map(_architecture, arch))
    note(f"compiling for {', '.join(map(capability, architectures))}")
    uses = kernel_uses(architectures)
    figures = [{**asdict(use), "spills": use.spills, "threads": use.threads} for use in uses]
    if json_file is not None:
        with atomic_write(json_file) as stream:
            stream.write((json.dumps(figures, indent=1) + "\n").encode())
    if as_json:
        typer.echo(json.dumps(figures, indent=1))
    else:
        _show(uses)
    worst = max(uses, key=lambda use: use.spills)
    where = f"{worst.kernel} on {capability(worst.architecture)}"
    if most_spills is not None and worst.spills > most_spills:
        raise ArithmeticError(f"{where} spills {worst.spills} bytes, more than --most-spills {most_spills}")


def _show(uses: Sequence[KernelUse]) -> None:
    show(out, use_table(uses))
    worst = max(uses, key=lambda use: use.spills)
    if worst.spills:
        where = f"{worst.kernel} on {capability(worst.architecture)}"
        say(out, f"{where} spills most: {worst.spills} bytes in the code of each thread.")
    else:
        say(out, "No kernel spills.")


def _architecture(text: str) -> int:
    """9.0, 90 or sm_90 → 90."""
    digits = text.removeprefix("sm_").replace(".", "")
    if not digits.isdigit():
        raise ValueError(f"--arch {text!r} is not a compute capability; write it as 9.0")
    return int(digits)


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command(cls=WithJsonFile)(kernels)

if __name__ == "__main__":
    app(prog_name="python -m bench.kernels_report")
