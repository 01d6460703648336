"""Money of the catalog in the currency of a subscription: at its own price, else at a rate.

Rates are dated rows of the catalog. The row in force at the start of a period holds for all
of it; what is converted stays exact until the invoice line. Which money a plan has is the
terms' answer.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Context, Decimal, Inexact
from fractions import Fraction

from billing_core.catalog import Catalog, ExchangeRate, Overage, OverageInCurrency, Tier
from billing_core.schema import DIGITS

MONEY = ("unit_price", "price", "minimum_amount", "maximum_amount")
"""Keys of an overage clause that are money, beside its tiers."""

_EXACT = Context(prec=2 * DIGITS, traps=[Inexact])
"""Holds every digit of a product of two numbers of the catalog, or raises."""


def rate_on(catalog: Catalog, currency: str, on: date) -> Decimal | None:
    """What one unit of the catalog's currency is worth in another, by the row in force on a day.

    returns: None for the catalog's own currency, and where no row is in force.
    rule:    CUR-2.
    """
    row = _last_row(catalog.exchange_rates, catalog.currency, currency, on)
    return None if row is None else row.rate


def worth_on(catalog: Catalog, currency: str, in_currency: str, on: date) -> Fraction | None:
    """What one unit of a currency is worth in another on a day, for reports. Rule CUR-2.

    A row of the two the other way round serves too, where there is no other.
    """
    if currency == in_currency:
        return Fraction(1)
    rows = catalog.exchange_rates
    row = _last_row(rows, currency, in_currency, on)
    if row is not None:
        return Fraction(row.rate)
    back = _last_row(rows, in_currency, currency, on)
    return None if back is None else 1 / Fraction(back.rate)


def worth_together(
    billed: Iterable[tuple[date, Decimal]],
    catalogs: Sequence[Catalog],
    *,
    currency: str,
    in_currency: str,
) -> Fraction | None:
    """What amounts of a currency are worth in another, each at the row of its billing day.

    takes:   billed, as (billing day, amount); catalogs, the versions in order.
    returns: exact, in major units; None where one of the days has no row.
    rule:    CUR-2: for reports.
    """
    total = Fraction(0)
    for day, amount in billed:
        catalog = next((it for it in reversed(catalogs) if effective_day(it) <= day), catalogs[0])
        worth = worth_on(catalog, currency, in_currency, day)
        if worth is None:
            return None
        total += Fraction(amount) * worth
    return total


def effective_day(catalog: Catalog) -> date:
    """The day from which a version is in force: by it at least its rates are looked up."""
    at = catalog.effective_at
    return at.date() if isinstance(at, datetime) else at


def rate_days(catalog: Catalog, currency: str) -> tuple[date, ...]:
    """The days after its first on which a version has another rate for a currency, in order."""
    first = effective_day(catalog)
    days = {
        row.valid_from
        for row in catalog.exchange_rates
        if (row.from_, row.to) == (catalog.currency, currency) and row.valid_from > first
    }
    return tuple(sorted(days))


def converted(amount: Decimal, rate: Decimal) -> Decimal:
    """An amount at a rate, exact: never rounded before the line. Rules CUR-2, CNV-4.

    >>> converted(Decimal("0.0000025"), Decimal("0.92"))
    Decimal('0.000002300')
    """
    return _EXACT.multiply(amount, rate)


def price_in(price: Decimal, local: Decimal | None, rate: Decimal | None) -> Decimal | None:
    """A price in another currency: its own there, else converted; None without either.

    rule: CUR-2, CAT-4.
    """
    if local is not None:
        return local
    return None if rate is None else converted(price, rate)


def lacks_price(overage: Overage, currency: str) -> bool:
    """Whether an overage clause has money that is not priced in a currency. Rule CUR-2.

    A clause that blocks charges nothing; a share of a value and the events' own amounts have
    no price.
    """
    if overage.mode == "block":
        return False
    local = overage.currencies.get(currency, OverageInCurrency())
    money = ((getattr(overage, key), getattr(local, key)) for key in MONEY)
    is_missing = any(own is not None and other is None for own, other in money)
    return is_missing or bool(overage.tiers and not local.tiers)


def overage_in(overage: Overage, currency: str, rate: Decimal | None) -> Overage:
    """An overage clause with its money in another currency, exact. Rules CAT-4, CUR-2.

    takes: rate, where the clause lacks a price in the currency.
    """
    if overage.mode == "block":
        return overage
    local = overage.currencies.get(currency, OverageInCurrency())
    money = {}
    for key in MONEY:
        own, here = getattr(overage, key), getattr(local, key)
        money[key] = here if own is None else price_in(own, here, rate)
    tiers = local.tiers or tuple(_tier_at(tier, rate) for tier in overage.tiers)
    return overage.model_copy(update={**money, "tiers": tiers})


def _tier_at(tier: Tier, rate: Decimal | None) -> Tier:
    if rate is None:
        raise ValueError("a tier without a price in the currency passed the catalog")
    changed = {"unit_price": converted(tier.unit_price, rate), "flat": converted(tier.flat, rate)}
    return tier.model_copy(update=changed)


def _last_row(rows: Iterable[ExchangeRate], from_: str, to: str, on: date) -> ExchangeRate | None:
    known = [row for row in rows if (row.from_, row.to) == (from_, to) and row.valid_from <= on]
    return max(known, key=lambda row: row.valid_from, default=None)
