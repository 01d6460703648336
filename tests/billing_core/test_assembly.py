"""Rules INV-3, INV-7, INV-9, INV-13, CHG-6, CUS-1: an invoice's order, credits and identities."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from billing_core.assembly import assembled, cut_credits, draw_credits, in_page_order
from billing_core.invoice import InvoiceLine, LineType
from billing_core.money import Money, total
from billing_core.period import Period
from billing_core.state import CustomerCredit
from tests.billing_core.builders import (
    EUR,
    USD,
    customer,
    day,
    instant,
    ladder,
    line,
    shown_line,
)

APRIL = day("2026-04-01")
ROWS = [
    {"country": "NL", "rate_bp": "2100", "from": "2012-10-01"},
    {"country": "NL", "category": "reduced", "rate_bp": "900", "from": "2019-01-01"},
]


def seats(amount: str, charge: str, code: str, start: str = "2026-04-01") -> InvoiceLine:
    service = Period(day(start), day("2026-05-01"))
    return line(amount, LineType.FEATURE_SEATS, charge_type=charge, code=code, service=service)


def held(amount: str, name: str = "c1", **changes: Any) -> CustomerCredit:
    """A customer credit in dollars, or in the `currency` given."""
    currency = changes.pop("currency", USD)
    money = Money.rounded(Decimal(amount), currency)
    given = {"granted_at": instant("2026-01-01"), "reason": "goodwill", **changes}
    return CustomerCredit(id=name, granted=money, left=money, **given)


def test_lines_stand_in_the_order_of_the_page() -> None:
    wanted = [
        line("1", LineType.PLAN_BASE),
        line("2", LineType.ADDON_BASE, code="sms"),
        line("3", code="api"),
        line("4", code="mails"),
        seats("5", "advance", "editors"),
        seats("6", "advance", "viewers"),
        seats("7", "true_up", "editors", "2026-04-03"),
        seats("8", "true_up", "editors", "2026-04-12"),
        seats("9", "true_up", "viewers"),
        line("-1", LineType.DISCOUNT),
        line("-2", LineType.CREDIT, charge_type="unused"),
        line("-3", LineType.CREDIT, charge_type="unused", code="editors"),
        line("-4", LineType.CREDIT, charge_type="customer_credit", code="z"),
        line("-5", LineType.CREDIT, charge_type="customer_credit", code="a"),
        line("10", LineType.PACK),
        line("11", LineType.STORE),
        line("12", LineType.ADJUSTMENT),
        line("13", LineType.ADJUSTMENT, code="api"),
        line("14", LineType.TAX),
    ]
    drawn_last = sorted(wanted, key=lambda item: (item.code == "a", str(item.amount)))
    assert list(in_page_order(drawn_last)) == wanted


# fmt: off
CUT: dict[str, tuple[list[str], list[str], str]] = {
    # case lines left on the page surplus
    "nothing to cut": (["10", "-4"], ["10", "-4"], "0.00"),
    "down to nothing": (["10", "-10"], ["10", "-10"], "0.00"),
    "one cent too much": (["10", "-10.01"], ["10", "-10.00"], "0.01"),
    "from the last on the page": (["10", "-8", "-5"], ["10", "-8", "-2"], "3.00"),
    "the last falls away, the next is cut": (["10", "-12", "-5"], ["10", "-10"], "7.00"),
    "nothing is charged": (["-12", "-5"], [], "17.00"),
    "a line of nothing is left out": (["10", "0"], ["10"], "0.00"),
    "no lines": ([], [], "0.00"),
}
# fmt: on


@pytest.mark.parametrize(("amounts", "kept", "surplus"), CUT.values(), ids=CUT)
def test_cut_credits(amounts: list[str], kept: list[str], surplus: str) -> None:
    lines, over = cut_credits([line(amount) for amount in amounts], Money(0, USD))
    assert [item.amount for item in lines] == [line(amount).amount for amount in kept]
    assert str(over.major) == surplus


@pytest.mark.parametrize("kind", [LineType.PLAN_BASE, LineType.ADDON_BASE])
def test_a_base_of_nothing_stays_on_the_page(kind: LineType) -> None:
    lines, _ = cut_credits([line("0", kind)], Money(0, USD))
    assert len(lines) == 1


NOW, LATER = instant("2026-04-01"), instant("2026-04-01 00:00:00.000001")
# fmt: off
DRAWN: dict[str, tuple[list[CustomerCredit], str, list[str], list[str]]] = {
    # case credits owed drawn left
    "less than is owed": ([held("3")], "5.00", ["-3.00"], []),
    "all that is owed": ([held("5")], "5.00", ["-5.00"], []),
    "more than is owed": ([held("8")], "5.00", ["-5.00"], ["3.00"]),
    "oldest first": ([held("3"), held("4", "c2")], "5.00", ["-3.00", "-2.00"], ["2.00"]),
    "nothing is owed": ([held("3")], "0.00", [], ["3.00"]),
    "another currency": ([held("3", currency=EUR)], "5.00", [], ["3.00"]),
    "expires now": ([held("3", expires_at=NOW)], "5.00", [], ["3.00"]),
    "expires in a moment": ([held("3", expires_at=LATER)], "5.00", ["-3.00"], []),
    "the next one": ([held("3", expires_at=NOW), held("4", "c2")], "5.00", ["-4.00"], ["3.00"]),
    "none": ([], "5.00", [], []),
}
# fmt: on


@pytest.mark.parametrize(("credits_held", "owed", "drawn", "left"), DRAWN.values(), ids=DRAWN)
def test_draw_credits(
    credits_held: list[CustomerCredit], owed: str, drawn: list[str], left: list[str]
) -> None:
    lines, rest = draw_credits(tuple(credits_held), line(owed).amount, at=NOW, day=APRIL)
    assert [str(item.amount.major) for item in lines] == drawn
    assert [str(item.left.major) for item in rest if item.left.minor] == left
    assert all(item.charge_type == "customer_credit" for item in lines)


def made(lines: list[InvoiceLine], *credits_held: CustomerCredit, tax: Any = ()) -> Any:
    """The lines assembled to an invoice of April 1."""
    seller = {"name": "Example Labs B.V.", "country": "NL"}
    return assembled(
        lines,
        customer=customer(),
        credits=credits_held,
        catalog=ladder(seller=seller, tax=tax),
        currency=USD,
        day=APRIL,
        at=NOW,
    )


def test_credits_come_before_tax() -> None:
    result = made([line("99", LineType.PLAN_BASE)], held("9"), tax=ROWS)
    assert [shown_line(item) for item in result.lines] == [
        "plan_base 99.00",
        "credit goodwill -9.00",
        "tax standard 18.90",
    ]


def test_what_is_cut_off_is_a_surplus_and_no_customer_credit_is_drawn() -> None:
    unused = line("-99", LineType.CREDIT, charge_type="unused")
    result = made([line("40"), unused], held("9"))
    assert [str(item.amount.major) for item in result.lines] == ["40.00", "-40.00"]
    assert str(result.surplus.major) == "59.00"
    assert [str(item.left.major) for item in result.credits] == ["9.00"]


# fmt: off
MIXED: dict[str, tuple[list[InvoiceLine], list[CustomerCredit], list[str], str]] = {
    # case                            charges, customer credits, the page, what becomes a credit
    "a credit at the higher rate":  (
        [line("10", tax_category="reduced"), line("-10", LineType.CREDIT)], [],
        ["feature_overage 10.00", "credit -9.01", "tax standard -1.89", "tax reduced 0.90"], "0.99",
    ),
    "a credit at the lower rate":   (
        [line("10"), line("-10", LineType.CREDIT, tax_category="reduced")], [],
        ["feature_overage 10.00", "credit -10.00", "tax standard 2.10", "tax reduced -0.90"],
        "0.00",
    ),
    "customer credits, drawn less": (
        [line("10", tax_category="reduced"), line("-5", LineType.CREDIT)], [held("5")],
        ["feature_overage 10.00", "credit -5.00", "credit goodwill -4.45", "tax standard -1.05",
         "tax reduced 0.50"], "0.00",
    ),
}
# fmt: on


@pytest.mark.parametrize(("charges", "credits_held", "page", "surplus"), MIXED.values(), ids=MIXED)
def test_the_total_is_not_below_zero_where_rates_differ(
    charges: list[InvoiceLine], credits_held: list[CustomerCredit], page: list[str], surplus: str
) -> None:
    """Rule INV-9: tax given back at one rate may exceed the tax charged at another."""
    result = made(charges, *credits_held, tax=ROWS)
    assert [shown_line(item) for item in result.lines] == page
    assert str(result.surplus.major) == surplus
    assert total([item.amount for item in result.lines], USD).minor == (
        0 if surplus != "0.00" or credits_held else 120
    )


amounts = st.integers(-20_000, 20_000).map(lambda minor: f"{minor / 100:.2f}")
kinds = st.sampled_from([kind for kind in LineType if kind is not LineType.TAX])
lines_of = st.lists(
    st.builds(
        lambda amount, kind, category, code: line(
            amount if kind in {LineType.CREDIT, LineType.ADJUSTMENT} else amount.lstrip("-"),
            kind,
            tax_category=category,
            code=code,
        ),
        amounts,
        kinds,
        st.sampled_from(["standard", "reduced", "luxury"]),
        st.sampled_from([None, "a", "b"]),
    ),
    max_size=7,
)
credits_of = st.lists(
    st.integers(1, 30_000).map(lambda minor: held(f"{minor / 100:.2f}")), max_size=3
)


@given(lines=lines_of, credits_held=credits_of, is_taxed=st.booleans())
def test_every_invoice_adds_up(
    lines: list[InvoiceLine], credits_held: list[CustomerCredit], is_taxed: bool
) -> None:
    """Rule INV-9; what is drawn, cut off and left of the credits is all there was."""
    assume(is_taxed or lines)
    result = made(lines, *credits_held, tax=ROWS if is_taxed else ())
    plain = [item.amount for item in result.lines if item.type is not LineType.TAX]
    drawn = [item.amount for item in result.lines if item.charge_type == "customer_credit"]
    subtotal = total(plain, USD)
    assert subtotal.minor >= 0
    assert total([item.amount for item in result.lines], USD).minor >= 0
    assert subtotal - total(drawn, USD) == total([i.amount for i in lines], USD) + result.surplus
    left = total([item.left for item in result.credits], USD)
    assert left - total(drawn, USD) == total([item.left for item in credits_held], USD)
    assert not (result.surplus.minor and drawn)
