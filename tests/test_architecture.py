"""What may import what, where a price may be computed, and what no tracked file may hold."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

MAY_IMPORT = {
    "billing_core": {"billing_core", "pydantic", "pydantic_core"},
    "reports": {
        "reports", "billing_core", "jinja2", "markupsafe", "weasyprint", "fontTools",
        "babel", "iso4217", "polars",
    },
    "sql": set[str](),
    "data": set[str](),
}  # fmt: skip
"""Packages beside the standard library. `pipelines` may import everything."""

WORLD = {
    "asyncio", "http", "io", "logging", "multiprocessing", "os", "pathlib", "random", "secrets",
    "shutil", "socket", "subprocess", "tempfile", "threading", "time", "urllib", "uuid",
}  # fmt: skip
"""Modules of the standard library that see or change the world: not for the core."""
WORLDLY_CALLS = {"now", "utcnow", "today", "open", "print", "input", "getLogger"}

TOP_LEVEL = {
    "pyproject.toml", "README.md", "CHANGELOG.md", "Makefile", "requirements.lock",
    "pipelines", "sql", "billing_core", "reports", "tests", "data",
}  # fmt: skip

FORMATS = {"actions.py", "catalog.py", "catalog_checks.py", "schema.py"}
"""Formats are whole from the start: they name rules that are not built yet."""


def modules(package: str) -> list[Path]:
    found = sorted((ROOT / package).rglob("*.py"))
    assert found, f"no module in {package}"
    return found


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree(path)):
        match node:
            case ast.Import():
                names |= {alias.name.partition(".")[0] for alias in node.names}
            case ast.ImportFrom(level=0, module=str(module)):
                names.add(module.partition(".")[0])
    return names


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def texts() -> Iterator[tuple[Path, str]]:
    for path in tracked():
        content = path.read_bytes()
        if b"\0" not in content[:8192]:
            yield path.relative_to(ROOT), content.decode("utf-8")


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_what_it_may(package: str) -> None:
    allowed = MAY_IMPORT[package] | set(sys.stdlib_module_names)
    wrong = {path.name: imported(path) - allowed for path in modules(package)}
    assert {name: found for name, found in wrong.items() if found} == {}


def test_nobody_imports_the_shell_but_the_shell_and_nobody_imports_pandas() -> None:
    for package in ("billing_core", "reports", "pipelines", "sql", "data"):
        for path in modules(package):
            assert "pandas" not in imported(path), path
            assert "tests" not in imported(path), path


def test_the_core_does_not_see_the_world() -> None:
    for path in modules("billing_core"):
        assert imported(path) & WORLD == set(), path
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func
                name = called.id if isinstance(called, ast.Name) else called
                assert name not in WORLDLY_CALLS, f"{path.name}:{node.lineno} calls {name}"


def test_the_core_has_no_float() -> None:
    for path in modules("billing_core"):
        assert not re.search(r"\bfloats?\b", path.read_text(encoding="utf-8")), path
        for node in ast.walk(tree(path)):
            is_float = isinstance(node, ast.Constant) and isinstance(node.value, float)
            assert not is_float, f"{path.name}:{getattr(node, 'lineno', 0)}"


def is_polars(node: ast.expr) -> bool:
    """True of a chain that begins at `pl`, and of a sum or difference of such.

    >>> is_polars(ast.parse("pl.col('price').sum()", mode="eval").body)
    True
    >>> is_polars(ast.parse("len(rows)", mode="eval").body)
    False
    """
    match node:
        case ast.Name(id=name):
            return name == "pl"
        case ast.Attribute(value=inner) | ast.Call(func=inner) | ast.Subscript(value=inner):
            return is_polars(inner)
        case ast.BinOp(left=left, right=right):
            return is_polars(left) or is_polars(right)
        case ast.UnaryOp(operand=inner):
            return is_polars(inner)
        case _:
            return False


def polars_arithmetic(module: ast.Module) -> list[int]:
    """The lines on which Polars multiplies, divides or averages.

    >>> polars_arithmetic(ast.parse("a = pl.col('price') * pl.col('quantity')"))
    [1]
    >>> polars_arithmetic(ast.parse("a = pl.col('price').truediv(3)"))
    [1]
    >>> polars_arithmetic(ast.parse("a = pl.col('price').sum() + pl.col('tax')"))
    []
    """
    lines = []
    for node in ast.walk(module):
        match node:
            case ast.BinOp(op=ast.Mult() | ast.Div() | ast.FloorDiv(), left=left, right=right):
                if is_polars(left) or is_polars(right):
                    lines.append(node.lineno)
            case ast.Call(
                func=ast.Attribute(
                    value=value, attr="mul" | "truediv" | "floordiv" | "mean" | "product" | "dot"
                )
            ) if is_polars(value):
                lines.append(node.lineno)
    return lines


def test_polars_counts_and_sums_but_never_multiplies_or_divides() -> None:
    found = {
        str(path.relative_to(ROOT)): polars_arithmetic(tree(path))
        for package in ("pipelines", "reports")
        for path in modules(package)
    }
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_sql_names_tables_and_never_files() -> None:
    for path in sorted((ROOT / "sql").rglob("*.sql")):
        code = re.sub(r"--[^\n]*", "", path.read_text(encoding="utf-8"))
        assert not re.search(r"\bread_\w+\s*\(|\.(parquet|csv|jsonl?|duckdb)\b", code), path


def test_every_module_says_what_it_answers() -> None:
    for package in ("billing_core", "reports", "pipelines", "sql", "data"):
        for path in modules(package):
            assert ast.get_docstring(tree(path)), path


def test_the_top_level_is_fixed() -> None:
    names = {path.relative_to(ROOT).parts[0] for path in tracked()}
    assert {name for name in names if not name.startswith(".")} <= TOP_LEVEL


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        ("a registry address", r"index-u" r"rl|/simp" r"le/|\"resol" r"ved\":"),
        ("a path of one machine", r"(?<![\w./])/(work|ro" r"ot|tm" r"p|home)/"),
        ("work left for later", r"\b(TO" r"DO|FIX" r"ME)\b"),
    ],
)
def test_no_tracked_file_holds(what: str, pattern: str) -> None:
    found = {
        str(path): match.group()
        for path, text in texts()
        if (match := re.search(pattern, text)) is not None
    }
    assert found == {}, what


def test_the_lock_names_no_host_and_pins_every_package_by_hash() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in lock
    entries = re.split(r"\n(?=[A-Za-z0-9])", lock)
    assert all("==" in entry and "--hash=sha256:" in entry for entry in entries)


def rule_numbers(text: str) -> set[str]:
    """The rule numbers that a text names.

    >>> sorted(rule_numbers("Rules CNV-4 and SUB-11; ISO-8601 is none, nor UTF-8."))
    ['CNV-4', 'SUB-11']
    """
    families = (
        "CNV|FAIR|ACT|CAT|SUB|CHG|INV|USE|CRD|BAL|LED|AI|SEAT|ADD|OFR|PRM|DSC|CUS|CUR|TAX|PAY|"
        "QTA|CAP|JOB|OVR|STO|REV|PST"
    )
    return set(re.findall(rf"\b(?:{families})-\d+\b", text))


def test_each_rule_is_written_down_once() -> None:
    text = (ROOT / "billing_core" / "RULES.md").read_text(encoding="utf-8")
    written = re.findall(r"^- \*\*([A-Z]+-\d+)\*\*", text, flags=re.MULTILINE)
    assert sorted(written) == sorted(set(written))


def test_every_rule_that_the_core_applies_is_written_down() -> None:
    rules = ROOT / "billing_core" / "RULES.md"
    written = rule_numbers(rules.read_text(encoding="utf-8"))
    for path in modules("billing_core"):
        if path.name not in FORMATS:
            named = rule_numbers(path.read_text(encoding="utf-8"))
            assert named - written == set(), path.name
