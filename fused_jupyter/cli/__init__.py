"""The command line: `fused udfs run`, `fused udfs check`, `fused udfs survey`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from fused_jupyter.errors import FusedError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: those of the command line; None takes them from there.

    Returns:
        0 where all went well, 1 where a UDF failed, 2 where the command was none.
    """
    given = _parser().parse_args(arguments)
    folder = Path(given.folder)
    if not folder.exists():
        sys.stderr.write(f"fused: there is no {folder}\n")
        return 2
    run: Callable[[argparse.Namespace, Path], int] = given.run
    try:
        return run(given, folder)
    except FusedError as error:
        sys.stderr.write(f"fused: {error.message}\n")
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fused", description="Fused for Jupyter on the command line.")
    areas = parser.add_subparsers(required=True, metavar="AREA")
    udfs = areas.add_parser("udfs", help="UDFs in folders").add_subparsers(required=True, metavar="COMMAND")
    run = _command(udfs, "run", _run, "run each UDF of a folder once, and say in one line what it gave")
    run.add_argument(
        "values", nargs="*", metavar="name=value", help="arguments, for the UDFs that take one of the name"
    )
    survey = _command(udfs, "survey", _survey, "run each UDF of a clone, and count why those that fail do")
    for command in (run, survey):
        command.add_argument("--timeout", type=float, default=60.0, metavar="SECONDS", help="for each; default 60")
        command.add_argument("--jobs", type=int, default=2, help="how many at a time; default 2")
    survey.set_defaults(values=[])
    _command(udfs, "check", _check, "say what each UDF of a folder needs, without running any")
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace, Path], int],
    about: str,
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
    command.add_argument("folder", help="of one UDF, or of folders with UDFs, at any depth; or a .py file")
    command.set_defaults(run=run)
    return command


def _run(given: argparse.Namespace, folder: Path) -> int:
    from fused_jupyter.cli.running import arguments_of, outcomes

    failed = ran = 0
    for outcome in outcomes(folder, arguments_of(given.values), timeout=given.timeout, jobs=given.jobs):
        ran += 1
        failed += outcome.failed
        sys.stdout.write(f"{outcome}\n")
        sys.stdout.flush()
    return _ended(ran, failed, folder)


def _survey(given: argparse.Namespace, folder: Path) -> int:
    from fused_jupyter.cli.causes import Tally
    from fused_jupyter.cli.running import outcomes

    tally = Tally()
    for outcome in outcomes(folder, {}, timeout=given.timeout, jobs=given.jobs):
        tally.count(outcome)
        sys.stdout.write(f"{outcome}\n")
        sys.stdout.flush()
    sys.stdout.write(f"\n{tally}\n")
    return 1 if tally.ours else 0


def _check(_given: argparse.Namespace, folder: Path) -> int:
    from fused_jupyter.cli.checking import findings

    found = [*findings(folder)]
    for finding in found:
        sys.stdout.write(f"{finding}\n")
    return _ended(len(found), sum(finding.failed for finding in found), folder)


def _ended(count: int, failed: int, folder: Path) -> int:
    if not count:
        sys.stderr.write(
            f"fused: no UDF in {folder}; a UDF is a .py file with @fused.udf, or a folder with meta.json\n"
        )
        return 2
    sys.stderr.write(f"{count} UDFs, {failed} with an error\n")
    return 1 if failed else 0
