"""From the books to documents: who stands on a posted invoice, and where its PDF lies.

Names and addresses are joined here, at the last moment, from the one dataset that holds
them; the seller is the one of the catalog version in force when the invoice was made.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from billing_core.actions import PublishCatalog
from billing_core.catalog import Seller
from billing_core.errors import BillingError
from pipelines.action_log import CUSTOMERS, landed_action_files, read_actions
from pipelines.books import PostedInvoice, read_books
from pipelines.catalogs import DatedCatalog, load_catalogs, with_published
from pipelines.paths import DataRoot
from pipelines.progress import report
from reports.invoice_view import invoice_view
from reports.pool import Job, Rendered, RenderFault, render_all
from reports.posted import Party
from reports.posted import PostedInvoice as Page
from reports.text import invoice_text


class UnknownNumber(BillingError):
    """A number that no posted invoice has."""

    code = "INVOICE-01"

    def __init__(self, number: str, *, last: str | None) -> None:
        super().__init__(
            what=f"no posted invoice has the number {number!r}",
            where="the books",
            mend="post drafts first: fairbill post" if last is None else f"the last one is {last}",
        )


@dataclass(frozen=True, slots=True)
class Document:
    """A posted invoice with the parties on its page, and where its PDF belongs.

    locale: of the buyer; None where he has none.
    """

    page: Page
    seller: Party
    buyer: Party
    locale: str | None
    path: Path


def catalog_versions(root: DataRoot) -> tuple[DatedCatalog, ...]:
    """All catalog versions, those that the founder published included, in order. Rule CAT-1.

    Nothing is registered: this reads what lies there.
    """
    log = read_actions(root, landed_action_files(root))
    actions = (landed.action for landed in log.actions)
    published = [action for action in actions if isinstance(action, PublishCatalog)]
    return with_published(load_catalogs(root).versions, published).versions


def documents(root: DataRoot) -> tuple[Document, ...]:
    """Every posted invoice as a document, in order of posting.

    raises: DamagedBooks.
    """
    posted, catalogs = read_books(root).invoices, catalog_versions(root)
    numbers = {each.invoice.id: each.number for each in posted}
    people = _people(root)
    return tuple(_document(root, each, catalogs, people, numbers) for each in posted)


def render_documents(root: DataRoot) -> tuple[Rendered | RenderFault, ...]:
    """The PDF of every posted invoice, in order of posting; one that is there stays as it is."""
    jobs = [
        Job(invoice_view(it.page, it.seller, it.buyer, it.locale), it.path)
        for it in documents(root)
    ]
    results = []
    for result in render_all(jobs):
        results.append(result)
        report("invoice_pdfs", len(results), len(jobs))
    return tuple(results)


def invoice_as_text(root: DataRoot, number: str) -> str:
    """One posted invoice as text with its working. raises: UnknownNumber, DamagedBooks."""
    found = documents(root)
    for document in found:
        if document.page.number == number:
            return invoice_text(document.page, document.seller, document.buyer)
    raise UnknownNumber(number, last=found[-1].page.number if found else None)


def _document(
    root: DataRoot,
    posted: PostedInvoice,
    catalogs: Sequence[DatedCatalog],
    people: Mapping[str, Sequence[Mapping[str, Any]]],
    numbers: Mapping[str, str],
) -> Document:
    invoice = posted.invoice
    corrected = {line.corrects for line in invoice.lines if line.corrects is not None}
    buyer, locale = _buyer(
        invoice.customer_id, people.get(invoice.customer_id, ()), posted.issued_on
    )
    return Document(
        page=Page(
            invoice=invoice,
            number=posted.number,
            issued_on=posted.issued_on,
            due_on=posted.due_on,
            corrected_numbers={id_: numbers[id_] for id_ in sorted(corrected)},
        ),
        seller=_party(in_force(catalogs, posted.invoice.made_at).catalog.seller),
        buyer=buyer,
        locale=locale,
        path=root.invoice_pdf(posted.number, posted.issued_on),
    )


def in_force(catalogs: Sequence[DatedCatalog], at: datetime) -> DatedCatalog:
    """The version in force at an instant; the first one before there was any."""
    return max(
        (version for version in catalogs if version.effective_at <= at),
        key=lambda version: version.effective_at,
        default=catalogs[0],
    )


def locales(root: DataRoot) -> dict[str, str]:
    """The locale of each customer who has one, as known last."""
    return {
        customer_id: records[-1]["locale"]
        for customer_id, records in _people(root).items()
        if records[-1]["locale"]
    }


def customer_names(root: DataRoot) -> dict[str, str]:
    """The name of each customer who has one, as known last."""
    return {
        customer_id: records[-1]["name"]
        for customer_id, records in _people(root).items()
        if records[-1]["name"]
    }


def _party(seller: Seller) -> Party:
    return Party(**{each.name: getattr(seller, each.name) for each in fields(Party)})


def _people(root: DataRoot) -> dict[str, list[dict[str, Any]]]:
    path = root.customers / "customers.parquet"
    table = pl.read_parquet(path, glob=False) if path.is_file() else pl.DataFrame(schema=CUSTOMERS)
    people: dict[str, list[dict[str, Any]]] = {}
    for row in table.sort("customer_id", "valid_from").iter_rows(named=True):
        people.setdefault(row["customer_id"], []).append(row)
    return people


def _buyer(
    customer_id: str, records: Iterable[Mapping[str, Any]], on: date
) -> tuple[Party, str | None]:
    """The customer as known on a day; by his id where nothing else is known of him."""
    known = list(records)
    as_of = [row for row in known if row["valid_from"].date() <= on] or known[:1]
    if not as_of:
        return Party(name=customer_id), None
    record = as_of[-1]
    return Party(
        name=record["name"] or customer_id,
        address=tuple(record["address"] or ()),
        country=record["country"],
        tax_id=record["tax_id"],
        email=record["email"],
    ), record["locale"]
