"""YAML as nested text: no number, date or truth value is guessed on the way.

Every plain scalar is the text that was written, but `null` and `~`, which are null. What
the text means is decided by the schema that reads it, exactly.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from billing_core.errors import Problem

MAX_BYTES = 4_000_000
"""The largest YAML file that is read."""

MAX_NODES = 200_000
"""How many values a document may have, aliases counted each time they are used."""

QUOTED = ("'", '"', "|", ">")
"""How a scalar's style says that it is a text and no plain word."""

NULLS = frozenset({"null", "~"})

STANDARD_TAGS = frozenset(
    f"tag:yaml.org,2002:{name}"
    for name in ("str", "int", "float", "bool", "null", "timestamp", "map", "seq", "merge", "value")
)
"""Tags that YAML itself gives to plain values; what a file writes with `!` is refused."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file: its tree, and the line on which it starts, from 1."""

    tree: Any
    line: int


class _Refused(Exception):
    def __init__(self, mark: yaml.Mark | None, what: str, mend: str) -> None:
        super().__init__(what)
        self.line = 1 if mark is None else mark.line + 1
        self.what, self.mend = what, mend


def read_documents(
    path: Path, *, prefix: str, file: str | None = None
) -> tuple[Document, ...] | Problem:
    """The documents of a YAML file, each as nested text; or why it cannot be read.

    takes:   prefix, of the problem's code: `CATALOG` gives CATALOG-30; file, how the problem
             names the file, else by its path.
    returns: documents in order; an empty document is left out.
    """
    code, named = f"{prefix}-30", file or str(path)
    try:
        content = path.read_bytes()
        if len(content) > MAX_BYTES:
            what = f"the file has {len(content):,} bytes, more than {MAX_BYTES:,}"
            return Problem(code, named, "(whole)", what, "divide it")
        return documents_of(content.decode("utf-8"))
    except OSError as error:
        what = f"the file cannot be read: {error.strerror}"
        return Problem(code, named, "(whole)", what, "check the file and who may read it")
    except UnicodeDecodeError as error:
        what = f"byte {error.start} is not UTF-8"
        return Problem(code, named, "(whole)", what, "save the file as UTF-8")
    except _Refused as error:
        return Problem(code, named, f"line {error.line}", error.what, error.mend)


def read_tree(path: Path, *, prefix: str, file: str | None = None) -> Any | Problem:
    """The only document of a YAML file, as nested text; or why it cannot be read."""
    read = read_documents(path, prefix=prefix, file=file)
    if isinstance(read, Problem):
        return read
    if len(read) != 1:
        what = f"the file holds {len(read)} documents"
        return Problem(f"{prefix}-30", file or str(path), "(whole)", what, "write exactly one")
    return read[0].tree


def documents_of(text: str) -> tuple[Document, ...]:
    """The documents of a YAML text, each as nested text.

    >>> documents_of("{price: 29.00, on: 2026-04-01, end: ~, name: '~'}")[0].tree
    {'price': '29.00', 'on': '2026-04-01', 'end': None, 'name': '~'}
    """
    documents = []
    try:
        for node in yaml.compose_all(text, Loader=yaml.CSafeLoader):
            if not (isinstance(node, yaml.ScalarNode) and node.value == ""):
                tree = _tree(node, [MAX_NODES])
                documents.append(Document(tree, node.start_mark.line + 1))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _Refused(mark, f"this is not YAML: {error.problem}", "correct the line") from None
    except yaml.YAMLError as error:
        raise _Refused(None, f"this is not YAML: {error}", "correct the file") from None
    except RecursionError:
        raise _Refused(None, "values are nested too deeply", "nest less deeply") from None
    return tuple(documents)


def _tree(node: yaml.Node, left: list[int]) -> Any:
    left[0] -= 1
    if left[0] < 0:
        raise _Refused(node.start_mark, f"more than {MAX_NODES:,} values", "divide the file")
    if node.tag not in STANDARD_TAGS:
        raise _Refused(node.start_mark, f"the tag {node.tag} is not read", "leave the tag out")
    match node:
        case yaml.MappingNode():
            return _mapping(node, left)
        case yaml.SequenceNode():
            return [_tree(part, left) for part in node.value]
        case yaml.ScalarNode():
            is_quoted = node.style in QUOTED
            return None if not is_quoted and node.value in NULLS else str(node.value)
    raise _Refused(node.start_mark, "this is not a value", "correct the line")


def _mapping(node: yaml.MappingNode, left: list[int]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = key_node.value
        if not isinstance(key_node, yaml.ScalarNode):
            raise _Refused(key_node.start_mark, "a key is not a text", "write the key as text")
        if key == "<<":
            raise _Refused(key_node.start_mark, "merge keys are not read", "write the keys out")
        if key in tree:
            raise _Refused(key_node.start_mark, f"the key {key!r} stands twice", "keep one of them")
        tree[key] = _tree(value_node, left)
    return tree
