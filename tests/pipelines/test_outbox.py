"""Each document is in the outbox once, for a mailer to pick up."""

import json
from pathlib import Path

import pytest

from pipelines import outbox
from pipelines.books import PostedInvoice, read_books
from pipelines.paths import DataRoot
from tests.pipelines import samples


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    root = DataRoot(tmp_path)
    samples.draft_and_post(root, [samples.initial("a"), samples.initial("b")])
    return root


def render(root: DataRoot, posted: PostedInvoice, content: str = "%PDF") -> None:
    path = root.invoice_pdf(posted.number, posted.issued_on)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def test_a_document_is_one_line_of_json(root: DataRoot) -> None:
    first, _ = invoices = read_books(root).invoices
    render(root, first)
    (letter,) = outbox.fill_outbox(root, invoices, locales={"a": "nl_NL"})
    assert json.loads(outbox.outbox_path(root).read_text(encoding="utf-8")) == {
        "invoice_id": first.invoice.id,
        "number": "INV-2026-000001",
        "customer_id": "a",
        "file": "documents/invoices/2026/INV-2026-000001.pdf",
        "sha256": letter.sha256,
        "locale": "nl_NL",
    }


def test_filling_again_touches_nothing(root: DataRoot) -> None:
    invoices = read_books(root).invoices
    for posted in invoices:
        render(root, posted)
    assert len(outbox.fill_outbox(root, invoices, locales={})) == 2
    before = outbox.outbox_path(root).stat().st_mtime_ns
    assert outbox.fill_outbox(root, invoices, locales={}) == ()
    assert outbox.outbox_path(root).stat().st_mtime_ns == before


def test_what_becomes_ready_later_comes_after(root: DataRoot) -> None:
    first, second = read_books(root).invoices
    for posted in (second, first):
        render(root, posted)
        outbox.fill_outbox(root, [first, second], locales={})
    assert outbox.outbox_frame(root)["number"].to_list() == [second.number, first.number]


def test_other_bytes_are_another_letter(root: DataRoot) -> None:
    first, _ = read_books(root).invoices
    for content in ("%PDF 1", "%PDF 2", "%PDF 1"):
        render(root, first, content)
        outbox.fill_outbox(root, [first], locales={})
    assert len(outbox.read_letters(root)) == 2


def test_an_outbox_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert dict(outbox.outbox_frame(DataRoot(tmp_path)).schema) == outbox.OUTBOX
