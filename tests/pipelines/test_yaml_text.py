"""YAML is read as text, null as null, and what could mean two things is refused."""

from pathlib import Path
from typing import Any

import pytest

from billing_core.errors import Problem
from pipelines.yaml_text import documents_of, read_documents, read_tree

TEXTS = {
    "a price": ("a: 29.00", {"a": "29.00"}),
    "a number with an exponent": ("a: 1e5", {"a": "1e5"}),
    "a date": ("a: 2026-04-01", {"a": "2026-04-01"}),
    "an instant": ("a: 2026-04-01T10:00:00Z", {"a": "2026-04-01T10:00:00Z"}),
    "on and off": ("{on: off, yes: no}", {"on": "off", "yes": "no"}),
    "a truth value": ("a: true", {"a": "true"}),
    "null": ("{a: null, b: ~}", {"a": None, "b": None}),
    "null in quotes": ("{a: 'null', b: \"~\"}", {"a": "null", "b": "~"}),
    "null as another word": ("a: Null", {"a": "Null"}),
    "nothing": ("a:", {"a": ""}),
    "a list": ("[1, [2, x]]", ["1", ["2", "x"]]),
    "a number as key": ("1: a", {"1": "a"}),
    "an alias": ("{a: &x {b: 1}, c: *x}", {"a": {"b": "1"}, "c": {"b": "1"}}),
    "a long text": ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
}
REFUSED = {
    "no YAML": ("a: [1", "line 2", "this is not YAML"),
    "a tab": ("a:\n\t- b", "line 2", "this is not YAML"),
    "a key twice": ("a: 1\nb: 2\na: 3", "line 3", "the key 'a' stands twice"),
    "a list as key": ("[a, b]: 1", "line 1", "a key is not a text"),
    "a tag": ("a: !!python/name:os.system x", "line 1", "is not read"),
    "a merge key": ("a: &x {b: 1}\nc:\n  <<: *x", "line 3", "merge keys are not read"),
    "an unknown alias": ("a: *x", "line 1", "this is not YAML"),
    "a list in itself": ("a: &x [*x]", "line 1", "nested too deeply"),
    "a bomb of aliases": (
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(
            f"{name}: &{name} [{','.join(['*' + before] * 9)}]\n"
            for before, name in zip("abcdefg", "bcdefgh", strict=True)
        ),
        "line",
        "more than 200,000 values",
    ),
    "deep nesting": ("[" * 5000 + "]" * 5000, "line", "nested too deeply"),
}


@pytest.mark.parametrize(("text", "tree"), TEXTS.values(), ids=TEXTS)
def test_scalars_are_text(text: str, tree: Any) -> None:
    assert documents_of(text)[0].tree == tree


@pytest.mark.parametrize(("text", "place", "what"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_clear_is_refused(tmp_path: Path, text: str, place: str, what: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text, encoding="utf-8")
    read = read_documents(path, prefix="TEST", file="a.yaml")
    assert isinstance(read, Problem)
    assert (read.code, read.file) == ("TEST-30", "a.yaml")
    assert read.path.startswith(place)
    assert what in read.what
    assert read.mend


def test_documents_know_their_line(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("# first\n---\na: 1\n---\n---\nb: 2\n", encoding="utf-8")
    read = read_documents(path, prefix="TEST")
    assert not isinstance(read, Problem)
    assert [(document.tree, document.line) for document in read] == [
        ({"a": "1"}, 3),
        ({"b": "2"}, 6),
    ]
    one = read_tree(path, prefix="TEST")
    assert isinstance(one, Problem)
    assert one.what == "the file holds 2 documents"


def test_files_that_cannot_be_read_are_problems(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes("a: Käse".encode("latin-1"))
    (tmp_path / "long.yaml").write_bytes(b"#" * 4_000_001)
    whats = [
        read_tree(tmp_path / name, prefix="TEST").what
        for name in ("latin.yaml", "long.yaml", "missing.yaml")
    ]
    assert whats == [
        "byte 4 is not UTF-8",
        "the file has 4,000,001 bytes, more than 4,000,000",
        "the file cannot be read: No such file or directory",
    ]
