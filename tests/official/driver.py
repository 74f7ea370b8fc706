"""Runs in the environment of Fused's own client: takes code on stdin, a JSON line each, and says what it gave.

What a snippet ends with is its value, as in a notebook; where JSON has no such thing, its repr.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import sys
import traceback
import warnings
from typing import Any


def run(code: str, names: dict[str, Any]) -> Any:
    """The value of the last expression, None where the last line is none."""
    tree = ast.parse(code)
    last = ast.Expression(tree.body.pop().value) if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<snippet>", "exec"), names)
    return None if last is None else eval(compile(last, "<snippet>", "eval"), names)


def main() -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    to_tests = sys.stdout
    for line in sys.stdin:
        answer: dict[str, Any] = {"value": None, "error": None}
        printed, complained = io.StringIO(), io.StringIO()
        with (
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(complained),
            warnings.catch_warnings(record=True) as said,
        ):
            try:
                answer["value"] = run(json.loads(line), names)
            except Exception as exc:  # noqa: BLE001 - whatever the client raises, the test says what it should be
                answer["error"] = {
                    "type": type(exc).__name__,
                    "message": str(exc),
                    "child": getattr(exc, "child_exception_class", None),
                    "traceback": traceback.format_exc(),
                }
        told = {str(warning.message) for warning in said or ()}
        answer |= {"stdout": printed.getvalue(), "stderr": complained.getvalue(), "warnings": sorted(told)}
        text = json.dumps(answer, default=repr)
        print(text, file=to_tests, flush=True)


if __name__ == "__main__":
    main()
