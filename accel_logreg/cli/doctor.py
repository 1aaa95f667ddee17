"""``accel-logreg doctor``: what runs on this machine, and how to mend what does not."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape

from accel_logreg.cli.common import out, reports_errors
from accel_logreg.doctor.findings import Section, examine, runs_fast
from accel_logreg.measure.machine import describe

_MARKS = {"ok": "[green]✓[/]", "note": "[yellow]·[/]", "trouble": "[red]✗[/]"}


@reports_errors
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    bandwidth: Annotated[
        bool, typer.Option(help="Measure how fast this machine reads memory, which takes a few seconds.")
    ] = True,
) -> None:
    """accel-logreg doctor

    Say which engines run on this machine, and how to mend those that do not.

    Every trouble (✗) comes with the command that mends it. The exit code is 0 if numba or cupy runs.
    """
    machine = describe()
    sections = examine(machine, measure=bandwidth)
    fast = runs_fast()
    if as_json:
        found = {
            "fast_engine": fast,
            "sections": [asdict(section) for section in sections],
            "machine": machine.to_dict(),
        }
        typer.echo(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        _print_sections(sections)
    raise typer.Exit(0 if fast else 1)


def _print_sections(sections: list[Section]) -> None:
    for section in sections:
        out.print(f"[bold]{escape(section.title)}[/]")
        for finding in section.findings:
            out.print(f"  {_MARKS[finding.level]} {escape(finding.text)}", soft_wrap=True)
            if finding.remedy:
                out.print(f"      → {escape(finding.remedy)}", soft_wrap=True)
