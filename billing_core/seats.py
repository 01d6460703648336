"""Seats: paid in advance above the included, settled afterwards when some are added.

Holdings are per feature and period. Nothing is given back for fewer seats; a level that
was paid once in a period is not charged again.
"""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction

from billing_core.errors import BillingError
from billing_core.exact import product
from billing_core.invoice import InvoiceLine, LineType
from billing_core.money import Money
from billing_core.period import MONTHS, Period
from billing_core.pricing import PerUnit
from billing_core.state import SeatAddition, SeatHolding
from billing_core.terms import FeatureTerms, Terms
from billing_core.values import replace


class SeatPriceNotPerUnit(BillingError):
    """A seats feature has a price model that is not per unit."""

    code = "SEAT-01"

    def __init__(self, *, feature: str, plan: str) -> None:
        super().__init__(
            what=f"seats feature {feature!r} is not priced per seat",
            where=f"the catalog, plans.{plan}.features.{feature}.overage",
            mend="give it overage: {unit_price: ...}",
        )


def seat_price(terms: Terms, feature: FeatureTerms) -> Decimal:
    """The unit price of one seat, as the catalog has it. Rule SEAT-4."""
    if not isinstance(feature.price, PerUnit):
        raise SeatPriceNotPerUnit(feature=feature.code, plan=terms.plan)
    return feature.price.unit_price


def seat_months(terms: Terms, *, is_monthly: bool) -> int:
    """How many unit prices one seat costs for a whole period.

    takes: is_monthly, the switch `seat_price_is_monthly`: the price is then for a month.
    rule:  SEAT-4.
    """
    return MONTHS[terms.interval] if is_monthly and terms.interval else 1


def is_above_without_price(feature: FeatureTerms, held: int) -> bool:
    """Whether a number of seats cannot be had on a plan without a seat price. Rule SEAT-5."""
    return feature.price is None and not feature.unlimited and held > feature.included


def charged_seats(feature: FeatureTerms, held: int) -> int:
    """Seats above the included, a whole number; none where the plan sells no more. Rule SEAT-5.

    Who holds more when he comes to such a plan, by a change that waited or by its catalog,
    keeps them free of charge.
    """
    is_free = feature.unlimited or feature.price is None
    return 0 if is_free else max(held - int(feature.included), 0)


def open_seats(terms: Terms, held: Mapping[str, int]) -> tuple[SeatHolding, ...]:
    """Holdings at the start of a period, nothing charged yet; one for each seats feature."""
    return tuple(
        SeatHolding(
            feature=feature.code,
            held=held.get(feature.code, 0),
            covered=max(held.get(feature.code, 0), int(feature.included)),
            advance=Money(0, terms.currency),
        )
        for feature in terms.seats
    )


def change_held(holding: SeatHolding, held: int, on: date) -> SeatHolding:
    """The holding after the number of seats changes.

    Only seats above the highest level already paid or included are added to the true-up.
    rule: SEAT-2, SEAT-3.

    >>> from billing_core.money import Currency
    >>> none = Money(0, Currency("USD", 2))
    >>> more = change_held(SeatHolding("editors", 7, 7, none), 10, date(2026, 4, 16))
    >>> more.covered, [a.quantity for a in more.additions]
    (10, [3])
    >>> change_held(change_held(more, 5, date(2026, 4, 20)), 10, date(2026, 4, 21)) == more
    True
    """
    new = held - holding.covered
    if new <= 0:
        return replace(holding, held=held)
    same = sum(
        it.quantity for it in holding.additions if (it.added_on, it.included_on) == (on, None)
    )
    kept = [it for it in holding.additions if (it.added_on, it.included_on) != (on, None)]
    additions = (*kept, SeatAddition(on, same + new))
    return replace(holding, held=held, covered=held, additions=additions)


def advance_lines(
    terms: Terms, holdings: tuple[SeatHolding, ...], period: Period, *, is_monthly: bool
) -> tuple[InvoiceLine, ...]:
    """Seats above the included for a coming period, one line for each feature.

    What came along to a plan that sells none is not charged. Rules SEAT-1, CHG-8.
    """
    months = seat_months(terms, is_monthly=is_monthly)
    lines = []
    for holding in holdings:
        feature = terms.by_code[holding.feature]
        is_priced = not is_above_without_price(feature, holding.held)
        quantity = charged_seats(feature, holding.held) * months if is_priced else 0
        if quantity:
            price = seat_price(terms, feature)
            lines.append(
                _line(
                    feature,
                    quantity,
                    price,
                    Money.rounded(product(quantity, price), terms.currency),
                    charge_type="advance",
                    service=period,
                    used=holding.held,
                )
            )
    return tuple(line for line in lines if line.amount.minor)


def true_up_lines(
    terms: Terms, holdings: tuple[SeatHolding, ...], period: Period, *, is_monthly: bool
) -> tuple[InvoiceLine, ...]:
    """Seats added during a period, one line for each feature and day. Rules SEAT-2, SEAT-5."""
    months = seat_months(terms, is_monthly=is_monthly)
    lines = []
    for holding in holdings:
        feature = terms.by_code[holding.feature]
        for addition in holding.additions:
            quantity, price = addition.quantity * months, seat_price(terms, feature)
            service = Period(addition.added_on, addition.included_on or period.end)
            share = Fraction(service.days, period.days)
            lines.append(
                _line(
                    feature,
                    quantity,
                    price,
                    Money.rounded(product(quantity * share, price), terms.currency),
                    charge_type="true_up",
                    service=service,
                    used=holding.covered,
                    days=(service.days, period.days),
                )
            )
    return tuple(line for line in lines if line.amount.minor)


def _line(
    feature: FeatureTerms,
    quantity: int,
    price: Decimal,
    amount: Money,
    *,
    charge_type: str,
    service: Period,
    used: int,
    days: tuple[int, int] | None = None,
) -> InvoiceLine:
    return InvoiceLine(
        type=LineType.FEATURE_SEATS,
        code=feature.code,
        name=feature.name,
        amount=amount,
        quantity=Fraction(quantity),
        unit=feature.unit,
        service=service,
        rule="SEAT-1" if charge_type == "advance" else "SEAT-2",
        charge_type=charge_type,
        unit_price=price,
        days=days,
        used=Fraction(used),
        included=feature.included,
        tax_category=feature.tax_category,
    )
