"""Rules OFR-1 to OFR-3, PRM-1, PRM-2, DSC-1, CNV-7: discounts on the plan price."""

from fractions import Fraction
from typing import Any

import pytest

from billing_core.catalog import Catalog
from billing_core.discounts import after_cycle, discount_line
from billing_core.invoice import LineType
from billing_core.state import Discount
from tests.billing_core.builders import (
    JPY,
    act,
    created,
    folded,
    invoices,
    ladder,
    line,
    outcomes,
    paid,
    setting_of,
    starter_at,
    subscribed,
)

HALF = {"type": "percentage", "value": "5000", "cycles": "2"}
SAVE20 = {"type": "percentage", "value": "2000"}
TENOFF = {"type": "amount", "value": "10.00", "cycles": "1"}


def offering(intro_offer: dict[str, Any] | None = None, **codes: dict[str, Any]) -> Catalog:
    """The ladder with starter at 99.00, or 9,900 yen, an intro offer and promo codes."""
    yen = {"JPY": {"amount": "9900"}}
    offer = {"intro_offer": intro_offer} if intro_offer else {}
    monthly = {"amount": "99.00", "currencies": yen, **offer}
    plans = starter_at("99.00", monthly=monthly, yearly={"amount": "990.00"})
    return ladder(plans=plans, promo_codes=codes)


TAKEN: dict[str, tuple[Discount | None, str, int]] = {
    "half": (Discount(None, 5000, Fraction(0), 3), "99.00", -4950),
    "a half cent goes away from zero": (Discount(None, 5000, Fraction(0), 3), "0.01", -1),
    "all of it": (Discount("ALL", 10_000, Fraction(0), None), "99.00", -9900),
    "an amount": (Discount("TEN", None, Fraction(10), 1), "99.00", -1000),
    "an amount above the price": (Discount("TEN", None, Fraction(10), 1), "4.00", -400),
    "a part of a cent": (Discount("TEN", None, Fraction(10, 3), 1), "99.00", -333),
    "of nothing": (Discount(None, 5000, Fraction(0), 3), "0.00", 0),
    "used up": (Discount(None, 5000, Fraction(0), 0), "99.00", 0),
    "none": (None, "99.00", 0),
}


@pytest.mark.parametrize(("discount", "price", "minor"), TAKEN.values(), ids=TAKEN)
def test_a_discount_takes_off_the_plan(discount: Discount | None, price: str, minor: int) -> None:
    """Rule DSC-1: the line has the rate's category of the line that it reduces (TAX-2)."""
    base = line(price, LineType.PLAN_BASE, tax_category="books")
    off = discount_line(base, discount)
    assert (0 if off is None else off.amount.minor) == minor
    assert off is None or (off.type, off.tax_category) == (LineType.DISCOUNT, "books")


def test_a_discount_has_its_cycles_and_then_ends_by_itself() -> None:
    twice = Discount(None, 5000, Fraction(0), 2)
    once = after_cycle(twice)
    assert once == Discount(None, 5000, Fraction(0), 1)
    assert after_cycle(once) is None
    forever = Discount("SAVE20", 2000, Fraction(0), None)
    assert after_cycle(forever) is forever


WELCOMED: dict[str, tuple[list[Any], str]] = {
    "never subscribed": ([], "-49.50"),
    "an expired checkout": ([subscribed("2026-01-01", id="s0")], "-49.50"),
    "a cancelled checkout": (
        [subscribed("2026-01-01", id="s0"), act("2026-01-02", "cancel", when="now")],
        "-49.50",
    ),
    "a plan before": (
        [
            subscribed("2026-01-01", id="s0"),
            paid("2026-01-01", ("initial", "2026-01-01")),
            act("2026-01-02", "cancel", when="now"),
        ],
        "none",
    ),
    "a free plan before": (
        [subscribed("2026-01-01", "free", id="s0"), act("2026-01-02", "cancel", when="now")],
        "none",
    ),
    "a plan long before": (
        [
            subscribed("2026-01-01", "free", id="s0"),
            act("2026-01-02", "cancel", when="now"),
            subscribed("2026-02-01", id="s00"),
        ],
        "none",
    ),
}


@pytest.mark.parametrize(("before", "off"), WELCOMED.values(), ids=WELCOMED)
def test_the_welcome_offer_is_for_who_never_subscribed(before: list[Any], off: str) -> None:
    """Rules OFR-1, OFR-3: an expired checkout is no subscription."""
    story = [created(), *before, subscribed("2026-04-01")]
    story.append(paid("2026-04-01", ("initial", "2026-04-01")))
    told = folded(story, setting_of(offering(HALF), assumes_payment=False), "2026-04-02")
    last = told.invoices[-1]
    shown = [str(it.amount.major) for it in last.lines if it.type is LineType.DISCOUNT]
    assert (str(last.billing_day), shown) == ("2026-04-01", [] if off == "none" else [off])


def test_an_offer_that_changes_in_the_catalog_touches_new_subscriptions_only() -> None:
    """Rule OFR-2."""
    later = offering({**HALF, "value": "1000"}).model_copy(update={"effective_at": "2026-04-20"})
    told = folded(
        [created(), subscribed("2026-04-01")], setting_of(offering(HALF), later), "2026-06-01"
    )
    assert [it.rpartition(" = ")[2] for it in invoices(told)] == ["49.50", "49.50", "99.00"]


def test_a_currency_has_its_own_offer_or_that_of_the_base() -> None:
    """Rules OFR-1, DSC-1: an amount is taken in proportion to the prices."""
    catalog = offering({"type": "amount", "value": "10.00", "cycles": "1"})
    story = [created(), subscribed("2026-04-01", currency="JPY")]
    assert invoices(folded(story, setting_of(catalog), "2026-04-01")) == [
        "2026-04-01 initial: plan_base 9900; discount/intro_offer -1000 = 8900"
    ]
    price = catalog.plans["starter"].prices["monthly"]
    own = price.currencies["JPY"].model_copy(
        update={"intro_offer": price.intro_offer.model_copy(update={"value": 33})}  # type: ignore[union-attr]
    )
    price.currencies["JPY"] = own
    told = folded(story, setting_of(catalog), "2026-04-01")
    assert told.invoices[0].lines[1].amount.minor == -33
    assert told.invoices[0].currency == JPY


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no such code": ({}, {}, "refused not_found"),
    "inactive before expired": (
        {**SAVE20, "active": "false", "expires_at": "2026-01-01"},
        {},
        "refused inactive",
    ),
    "expired before plan": (
        {**SAVE20, "expires_at": "2026-04-01", "plans": ["hidden"]},
        {},
        "refused expired",
    ),
    "the last instant": ({**SAVE20, "expires_at": "2026-04-01T00:00:01Z"}, {}, "applied"),
    "another plan": ({**SAVE20, "plans": ["hidden"]}, {}, "refused plan_not_eligible"),
    "a free plan": (SAVE20, {"plan": "free"}, "refused plan_not_eligible"),
    "for this plan": ({**SAVE20, "plans": ["starter"]}, {}, "applied"),
    "below the minimum": (
        {"type": "percentage", "value": "9950"},
        {},
        "refused below_minimum",
    ),
    "seats lift it above": (
        {"type": "percentage", "value": "10000"},
        {"seats": {"editors": "6"}},
        "applied",
    ),
}


@pytest.mark.parametrize(("code", "fields", "outcome"), REFUSED.values(), ids=REFUSED)
def test_a_code_is_refused_for_the_first_reason(
    code: dict[str, Any], fields: dict[str, Any], outcome: str
) -> None:
    """Rule PRM-1."""
    catalog = offering(**({"CODE-1": code} if code else {}))
    story = [created(), subscribed("2026-04-01", promo_code="code-1", **fields)]
    told = folded(story, setting_of(catalog), "2026-04-01")
    assert outcomes(told)["s1"] == outcome
    assert bool(told.invoices) == (outcome == "applied")


def test_a_code_is_redeemed_once_in_a_life_but_not_by_an_expired_checkout() -> None:
    """Rule PRM-2."""
    story = [
        created(),
        subscribed("2026-01-01", id="s0", promo_code="TENOFF"),
        subscribed("2026-02-01", promo_code="TENOFF"),
        paid("2026-02-01", ("initial", "2026-02-01")),
        act("2026-02-02", "cancel", when="now"),
        subscribed("2026-03-01", id="s2"),
        act("2026-03-02", "cancel", when="now"),
        subscribed("2026-04-01", id="s3", promo_code="TENOFF"),
    ]
    setting = setting_of(offering(TENOFF=TENOFF), assumes_payment=False)
    found = outcomes(folded(story, setting, "2026-04-02"))
    assert [found[name] for name in ("s0", "s1", "s2", "s3")] == [
        "applied",
        "applied",
        "applied",
        "refused already_redeemed",
    ]


def test_unused_days_are_credited_of_what_was_paid() -> None:
    """Rules CNV-7, CHG-3: 89.00 x 15/30."""
    story = [
        created(),
        subscribed("2026-04-01", promo_code="TENOFF"),
        act("2026-04-16", "cancel", when="now"),
    ]
    told = folded(story, setting_of(offering(TENOFF=TENOFF)), "2026-04-16")
    assert [(it.left.minor, it.reason) for it in told.state.credits] == [(4450, "cancellation")]
