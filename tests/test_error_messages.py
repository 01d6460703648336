"""Every error message is in golden/errors.txt: a changed message is a reviewed change.

The templates of all error classes are read from the source; what catalogs and actions can
have wrong is shown as people see it. `pytest --update-golden` writes the file anew.
"""

import ast
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path

from billing_core.actions import parse_action
from billing_core.catalog_checks import read_catalog
from billing_core.errors import Problem
from billing_core.schema import merge_patch
from tests.billing_core.broken import ACTIONS, BASE, CATALOGS, SUBSCRIBE

ROOT = Path(__file__).parents[1]


def error_classes() -> Iterator[tuple[str, str]]:
    """(code, message as it is made) of every class of error in the project."""
    for package in ("billing_core", "pipelines", "reports"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef):
                    yield from _message(node)


def _message(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    code = next(
        (
            statement.value.value
            for statement in node.body
            if isinstance(statement, ast.Assign)
            and isinstance(statement.value, ast.Constant)
            and ast.unparse(statement.targets[0]) == "code"
        ),
        None,
    )
    for call in ast.walk(node):
        if code and isinstance(call, ast.Call) and ast.unparse(call.func) == "super().__init__":
            parts = {part.arg: ast.unparse(part.value) for part in call.keywords}
            if {"what", "where", "mend"} <= parts.keys():
                yield (
                    str(code),
                    "\n".join(
                        [f"[{code}] {node.name}"]
                        + [f"  {name + ':':6} {parts[name]}" for name in ("what", "where", "mend")]
                    ),
                )


def shown(case: str, problems: tuple[Problem, ...]) -> str:
    return "\n".join([f"# {case}", *map(str, problems)])


def test_error_codes_are_used_once() -> None:
    codes = [code for code, _ in error_classes()]
    assert sorted({code for code in codes if codes.count(code) > 1}) == []


def test_every_message_is_written_down(golden: Callable[[str, str], None]) -> None:
    parts = [message for _, message in sorted(error_classes())]
    for case, (patch, _, _) in CATALOGS.items():
        read = read_catalog(merge_patch(deepcopy(BASE), patch), file="catalog/2026.yaml")
        parts.append(shown(case, read if isinstance(read, tuple) else ()))
    for case, (fields, _, _) in ACTIONS.items():
        record = {key: value for key, value in (SUBSCRIBE | fields).items() if value is not None}
        action = parse_action(record, where="landing/actions/day=2026-04-01/a.jsonl:1")
        parts.append(shown(case, action if isinstance(action, tuple) else ()))
    golden("errors.txt", "\n\n".join(parts) + "\n")
