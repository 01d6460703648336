"""The outbox: what is ready for other programs to pick up, one JSON object a line.

In `outbox/outbox.jsonl` are the documents to mail, in the order in which they became ready;
beside it what is to be collected (`charges`) and told (`notices`). A line is never changed
and never there twice; a document that was made anew with other bytes is another line.
Names and addresses are not in it, only the customer's id.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.books import PostedInvoice
from pipelines.datasets import replaced, sha256_of
from pipelines.frames import Schema, table
from pipelines.paths import DataRoot
from pipelines.writer import writer

OUTBOX: Schema = {
    "invoice_id": pl.String,
    "number": pl.String,
    "customer_id": pl.String,
    "file": pl.String,
    "sha256": pl.String,
    "locale": pl.String,
}
"""One row an invoice and document, in the order of the outbox."""


Line = Mapping[str, object]
"""One object of the outbox; `id` tells it from every other of its file."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One document to send: the file (relative to the data root), its hash, the recipient."""

    invoice_id: str
    number: str
    customer_id: str
    file: str
    sha256: str
    locale: str


def outbox_path(root: DataRoot) -> Path:
    return root.outbox / "outbox.jsonl"


def fill_outbox(
    root: DataRoot,
    invoices: Iterable[PostedInvoice],
    *,
    locales: Mapping[str, str],
    default_locale: str = "en",
) -> tuple[Letter, ...]:
    """Put the documents of posted invoices that are there into the outbox, once.

    takes:   locales, by customer id.
    returns: the letters that are new; none when every document was in the outbox already,
             and then the file is not touched. An invoice without a document is passed over.
    """
    with writer(root):
        kept = read_letters(root)
        known = {(letter.invoice_id, letter.sha256) for letter in kept}
        found = (_letter(root, it, locales, default_locale) for it in invoices)
        added = tuple(
            letter
            for letter in found
            if letter is not None and (letter.invoice_id, letter.sha256) not in known
        )
        if added:
            with replaced(outbox_path(root)) as temporary:
                temporary.write_text(_text(map(asdict, (*kept, *added))), encoding="utf-8")
        return added


def hand_out(root: DataRoot, name: str, lines: Iterable[Line]) -> tuple[Line, ...]:
    """Put lines at the end of a file of the outbox, each id once. The writer's lock is taken.

    returns: the lines that are new; the file is not touched where there are none.
    """
    with writer(root):
        kept = read_lines(root, name)
        known = {line["id"] for line in kept}
        added = tuple({line["id"]: line for line in lines if line["id"] not in known}.values())
        if added:
            with replaced(root.outbox / name) as temporary:
                temporary.write_text(_text((*kept, *added)), encoding="utf-8")
        return added


def read_lines(root: DataRoot, name: str) -> tuple[dict[str, Any], ...]:
    """Every line of a file of the outbox, in order; none where there is no file yet."""
    path = root.outbox / name
    if not path.is_file():
        return ()
    return tuple(map(json.loads, path.read_text(encoding="utf-8").splitlines()))


def read_letters(root: DataRoot) -> tuple[Letter, ...]:
    """Every letter of the outbox, in its order; none where there is no outbox yet."""
    return tuple(Letter(**line) for line in read_lines(root, outbox_path(root).name))


def outbox_frame(root: DataRoot) -> pl.DataFrame:
    """The outbox as a table."""
    return table((list(asdict(letter).values()) for letter in read_letters(root)), OUTBOX)


def _letter(
    root: DataRoot, posted: PostedInvoice, locales: Mapping[str, str], default_locale: str
) -> Letter | None:
    path = root.invoice_pdf(posted.number, posted.issued_on)
    if not path.is_file():
        return None
    return Letter(
        invoice_id=posted.invoice.id,
        number=posted.number,
        customer_id=posted.invoice.customer_id,
        file=path.relative_to(root.root).as_posix(),
        sha256=sha256_of(path),
        locale=locales.get(posted.invoice.customer_id, default_locale),
    )


def _text(lines: Iterable[Line]) -> str:
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
