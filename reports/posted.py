"""What a document is made of: a posted invoice and the parties that stand on it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from billing_core.invoice import Invoice


@dataclass(frozen=True, slots=True)
class PostedInvoice:
    """An invoice with what posting gave it. Rules PST-2, PST-6.

    corrected_numbers: the numbers of the invoices that adjustment lines correct, by id.
    """

    invoice: Invoice
    number: str
    issued_on: date
    due_on: date
    corrected_numbers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Party:
    """A seller or a buyer as it stands on the page; any text, taken as text only.

    address: line by line. country: ISO 3166 code. iban, bic: where payments go.
    """

    name: str
    address: tuple[str, ...] = ()
    country: str | None = None
    tax_id: str | None = None
    email: str | None = None
    iban: str | None = None
    bic: str | None = None
