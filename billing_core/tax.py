"""Which tax an invoice carries: by where seller and buyer are, and by category and day.

Rates are dated rows of the catalog. Whether a tax id is valid comes in as a value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from billing_core.catalog import Seller, TaxRate
from billing_core.state import Customer

EU = frozenset(
    "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split()
)
"""Member states of the European Union, ISO 3166 codes."""

REVERSE_CHARGE_NOTE = (
    "Reverse charge: VAT to be accounted for by the recipient, "
    "Article 196 of Council Directive 2006/112/EC."
)


@dataclass(frozen=True, slots=True)
class TaxTreatment:
    """Whose rates an invoice takes. Rules TAX-1, TAX-3.

    country: whose rows apply; None when out of scope or untaxed.
    """

    country: str | None = None
    is_reverse_charge: bool = False

    @property
    def note(self) -> str | None:
        """The text that the law wants on the page."""
        return REVERSE_CHARGE_NOTE if self.is_reverse_charge else None


def treatment(
    customer: Customer, seller: Seller, rates: Sequence[TaxRate], day: date
) -> TaxTreatment:
    """How an invoice of a billing day is taxed. Rules TAX-1, TAX-3, CAT-14."""
    buyer = customer.country
    if not customer.is_taxed or buyer is None:
        return TaxTreatment()
    if buyer == seller.country:
        return TaxTreatment(buyer)
    if buyer not in EU or seller.country not in EU:
        return TaxTreatment()
    if customer.is_tax_id_valid:
        return TaxTreatment(buyer, is_reverse_charge=True)
    has_own = any(rate.country == buyer and rate.from_ <= day for rate in rates)
    return TaxTreatment(buyer if has_own else seller.country)


def rate_bp(how: TaxTreatment, category: str, rates: Sequence[TaxRate], day: date) -> int | None:
    """The rate of a category on a day, in basis points; None where no rate applies.

    rule: TAX-1, TAX-3; the last row not after the day counts.
    """
    if how.is_reverse_charge:
        return 0
    rows = [
        rate
        for rate in rates
        if rate.country == how.country and rate.category == category and rate.from_ <= day
    ]
    return max(rows, key=lambda rate: rate.from_).rate_bp if rows else None
