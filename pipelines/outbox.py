"""The outbox: which invoice documents are ready, for a mailer to pick up.

One JSON object a line in `outbox/outbox.jsonl`, in the order in which documents became
ready. A line is never changed and never there twice; a document that was made anew with
other bytes is another line. Names and addresses are not in it, only the customer's id.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

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
                temporary.write_text(_text((*kept, *added)), encoding="utf-8")
        return added


def read_letters(root: DataRoot) -> tuple[Letter, ...]:
    """Every letter of the outbox, in its order; none where there is no outbox yet."""
    path = outbox_path(root)
    if not path.is_file():
        return ()
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(Letter(**json.loads(line)) for line in lines)


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


def _text(letters: Iterable[Letter]) -> str:
    return "".join(json.dumps(asdict(letter), ensure_ascii=False) + "\n" for letter in letters)
