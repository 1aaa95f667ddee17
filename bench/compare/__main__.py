"""``python -m bench.compare``: whether B is slower or faster than A."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from accel_logreg.cli.common import AsJson, JsonFile, WithJsonFile, note, optional, out, reports_errors
from accel_logreg.files.atomic import atomic_write
from accel_logreg.measure.table import say, show
from bench.compare import report
from bench.compare.comparison import Comparison, Selection, Thresholds, other_machine
from bench.compare.comparison import compare as compare_documents
from bench.compare.revisions import Checkout
from bench.compare.rounds import Plan
from bench.compare.study import SUITE, Question, compare_revisions
from bench.report.document import BenchDocument
from bench.report.results_file import read, write

TOO_SLOW = 1
WRONG = 2


def of_revisions(help_text: str, *names: str) -> Any:
    """An option that files do not have."""
    return optional(f"With --revisions: {help_text}", *names)


@reports_errors
def compare(
    a: Annotated[
        Path | None, typer.Argument(metavar="A.json", help="Results to compare with.", show_default=False)
    ] = None,
    b: Annotated[
        Path | None, typer.Argument(metavar="B.json", help="Results to judge.", show_default=False)
    ] = None,
    revisions: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="BASE HEAD",
            help="Measure two git revisions of this checkout in turns; WORKTREE is the uncommitted tree.",
            show_default=False,
        ),
    ] = None,
    pattern: Annotated[
        str, typer.Option("-k", metavar="WORDS", help="Only benchmarks named so: 'gradient and not numpy'.")
    ] = "",
    relative: Annotated[float, typer.Option(help="Fail only if slower by more than this share,")] = 0.10,
    absolute: Annotated[float, typer.Option(help="and by more than so many seconds.")] = 20e-6,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Compare results of different machines or settings all the same.")
    ] = False,
    rounds: Annotated[
        int | None, of_revisions("process pairs, 8 if not given; three times that for what looks changed.")
    ] = None,
    shape: Annotated[
        list[str] | None,
        of_revisions("gradient and fit on ROWSxFEATURES, repeatable, instead of the usual set."),
    ] = None,
    n_threads: Annotated[int | None, of_revisions("threads of the engines; all cores if not given.")] = None,
    install: Annotated[
        bool | None,
        of_revisions(
            "an environment for each, or this interpreter for both. If not given, as their dependencies "
            "need.",
            "--install/--no-install",
        ),
    ] = None,
    keep: Annotated[Path | None, of_revisions("write what was measured as A.json and B.json here.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown instead of a table.")] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Show every benchmark, not only what changed.")
    ] = False,
    as_json: AsJson = False,
    json_file: JsonFile = None,
) -> None:
    """Say what changed from A to B: slower, faster, wrong, new and gone; and how sure that is.

    All other benchmarks are counted in one line. The files are of 'make bench', of 'python -m bench.run' or
    of 'pytest bench --benchmark-json'. The exit code is 1 if a benchmark is certainly slower by more than
    --relative and by more than --absolute, 2 for files or revisions that cannot be compared, or an answer
    that is wrong.
    """
    thresholds, select = Thresholds(relative, absolute), Selection(pattern)
    _check_file("--json-file", json_file)
    remarks: tuple[str, ...] = ()
    if revisions is not None:
        refusals = {
            f"{a} and --revisions: compare two files, or two revisions, not both": a is not None,
            "--anyway is for files; revisions are measured on one machine": anyway,
            f"--keep {keep} is a file; name a folder": keep is not None and keep.is_file(),
            f"--n-threads {n_threads} must be at least 1": n_threads is not None and n_threads < 1,
        }
        for sentence, holds in refusals.items():
            if holds:
                raise ValueError(sentence)
        plan = Plan() if rounds is None else Plan(rounds=rounds)
        question = Question(thresholds, select, plan, n_threads, tuple(map(_shape, shape or ())))
        study = compare_revisions(
            Checkout.around(Path.cwd()), *revisions, question, install=install, report=note
        )
        found = study.comparison
        title = f"A: {study.a.revision}, B: {study.b.revision}"
        remarks = study.remarks
        if keep is not None:
            write(study.a, keep / "A.json")
            write(study.b, keep / "B.json")
    else:
        given = {"--rounds": rounds, "--shape": shape, "--n-threads": n_threads, "--install": install}
        for option, value in (given | {"--keep": keep}).items():
            if value is not None:
                raise ValueError(
                    f"{option} goes with --revisions BASE HEAD; files have been measured already"
                )
        if a is None or b is None:
            raise ValueError("name two results of 'make bench', A.json B.json, or --revisions BASE HEAD")
        found, title = _compare_files(a, b, thresholds, select, anyway)
    if as_json:
        typer.echo(report.to_json(found, title), nl=False)
    else:
        _print(found, title, remarks, markdown=markdown, every=every)
    if json_file is not None:
        with atomic_write(json_file) as stream:
            stream.write(report.to_json(found, title).encode())
        note(f"written: {json_file}")
    if found.wrong:
        raise typer.Exit(WRONG)
    if found.failures:
        raise typer.Exit(TOO_SLOW)


def _compare_files(
    a: Path, b: Path, thresholds: Thresholds, select: Selection, anyway: bool
) -> tuple[Comparison, str]:
    first, second = read(a), read(b)
    others = other_machine(first, second)
    if others and not anyway:
        raise ValueError(
            f"{a} and {b} are of different machines ({'; '.join(others)}), so a difference would say nothing "
            "of the code; measure both on one, or compare them with --anyway"
        )
    paired = _same_rounds(first, second)
    found = compare_documents(first, second, thresholds, select=select, paired=paired, anyway=anyway)
    of_a, of_b = (document.revision or "no revision" for document in (first, second))
    return found, f"A: {a} ({of_a}), B: {b} ({of_b})"


def _print(found: Comparison, title: str, remarks: tuple[str, ...], *, markdown: bool, every: bool) -> None:
    if markdown:
        typer.echo(report.to_markdown(found, title, remarks, every=every), nl=False)
        return
    for sentence in (*found.busy, *remarks):
        say(out, sentence)
    for sentence in found.differences:
        say(out, f"Not alike: {sentence}")
    table = report.table(found, title, every=every)
    if table.rows:
        show(out, table)
    else:
        say(out, title, style="italic")
    for sentence in report.sentences(found, every=every):
        say(out, sentence)


def _same_rounds(a: BenchDocument, b: BenchDocument) -> bool:
    """Whether --keep wrote both of one study, so that figure i of both is of round i."""
    counts = [{record.name: len(record.seconds) for record in document.records} for document in (a, b)]
    one_study = a.command == b.command and a.machine.get("date") == b.machine.get("date")
    return one_study and counts[0] == counts[1] and all(x.suite == SUITE for x in (*a.records, *b.records))


def _shape(text: str) -> tuple[int, int]:
    """1e5x28 → (100000, 28)."""
    try:
        rows, features = (float(part) for part in text.lower().split("x"))
        if rows != int(rows) or features != int(features) or rows < 10 or features < 1:
            raise ValueError
    except (ValueError, OverflowError):
        raise ValueError(
            f"--shape {text!r} is not rows x features; write it as 100000x28 or 1e5x28, at least 10 rows"
        ) from None
    return int(rows), int(features)


def _check_file(option: str, path: Path | None) -> None:
    if path is None:
        return
    if path.is_dir():
        raise IsADirectoryError(f"{option} {path} is a folder; name a file in it")
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"{option} {path}: the folder {path.absolute().parent} does not exist")


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command(cls=WithJsonFile)(compare)

if __name__ == "__main__":
    app(prog_name="python -m bench.compare")
