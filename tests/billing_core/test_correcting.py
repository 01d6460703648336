"""Rules PAY-2, PST-2, TAX-2, INV-13, ACT-2: credit notes, write-offs and refunds."""

from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing_core.invoice import Invoice, InvoiceType, LineType
from tests.billing_core.builders import (
    LADDER,
    act,
    created,
    folded,
    invoices,
    ladder,
    outcomes,
    paid,
    posted,
    setting_of,
    subscribed,
    use,
)

INITIAL, MAY, JUNE = (
    ("initial", "2026-04-01"), ("recurring", "2026-05-01"), ("recurring", "2026-06-01")
)  # fmt: skip
FEATURES = {
    **LADDER["features"],
    "editors": {**LADDER["features"]["editors"], "tax_category": "reduced"},
}
TAXED = {
    "seller": {"name": "Example Labs B.V.", "country": "NL"},
    "features": FEATURES,
    "tax": [
        {"country": "NL", "rate_bp": "2100", "from": "2012-10-01"},
        {"country": "NL", "category": "reduced", "rate_bp": "900", "from": "2012-10-01"},
    ],
}
DUTCH = created(is_taxed=True, country="NL")
STARTED = [
    DUTCH,
    act("2026-03-01", "grant_credit", amount="7.00", reason="welcome"),
    subscribed("2026-04-01", seats={"editors": "7"}),
    paid("2026-04-01", INITIAL),
]
"""29.00 at 21 %, 50.00 at 9 %, and a customer credit of 7.00 drawn before tax."""


def corrected(do: str, at: str, invoice: Any, amount: str | None = None, **fields: Any) -> Any:
    """A correction of an invoice named by (type, date); of lines as (type, code, amount)."""
    named = {"type": invoice[0], "on": invoice[1]}
    lines = [
        {"type": kind, "code": code, "amount": of} for kind, code, of in fields.pop("lines", ())
    ]
    told = {"amount": amount} if amount else {"lines": lines}
    return act(at, do, **{"invoice": named, "reason": "agreed", **told, **fields})


def told_of(*steps: Any, until: str = "2026-06-10", **given_: Any) -> Any:
    setting = setting_of(ladder(**TAXED), assumes_payment=False, **given_)
    return folded([*STARTED, *steps], setting, until)


def notes(told: Any) -> list[Invoice]:
    return [it for it in told.invoices if it.type is InvoiceType.CREDIT_NOTE]


def test_an_amount_is_shared_over_lines_and_tax_at_each_rate() -> None:
    """8.00 of 81.65: 2.5896 and 4.4649 of the bases after 7.00 drawn, 0.5438 and 0.4017 of tax."""
    told = told_of(corrected("issue_credit_note", "2026-04-10", INITIAL, "8.00"))
    assert invoices(told)[0] == (
        "2026-04-01 initial: plan_base 29.00; feature_seats/advance editors 50.00; "
        "credit welcome -7.00; tax standard 5.55; tax reduced 4.10 = 81.65"
    )
    assert invoices(told)[1] == (
        "2026-04-10 credit_note: plan_base -2.59; feature_seats/advance editors -4.47; "
        "tax standard -0.54; tax reduced -0.40 = -8.00"
    )


LINES: dict[str, tuple[list[Any], str]] = {
    # case: (lines, the note)
    "one": (
        [("plan_base", None, "10.00")],
        "2026-04-10 credit_note: plan_base -10.00; tax standard -2.10 = -12.10",
    ),
    "of two rates": (
        [("feature_seats", "editors", "10.00"), ("plan_base", None, "1.00")],
        "2026-04-10 credit_note: plan_base -1.00; feature_seats/advance editors -10.00; "
        "tax standard -0.21; tax reduced -0.90 = -12.11",
    ),
    "one line twice": (
        [("plan_base", None, "4.00"), ("plan_base", None, "6.00")],
        "2026-04-10 credit_note: plan_base -10.00; tax standard -2.10 = -12.10",
    ),
}


@pytest.mark.parametrize(("lines", "note"), LINES.values(), ids=LINES)
def test_lines_are_credited_with_their_tax(lines: list[Any], note: str) -> None:
    told = told_of(corrected("issue_credit_note", "2026-04-10", INITIAL, lines=lines))
    assert invoices(told)[1] == note


REFUSED: dict[str, tuple[Any, str]] = {
    # case: (the correction, what it says)
    "above the line": (
        corrected("issue_credit_note", "2026-04-10", INITIAL, lines=[("plan_base", None, "29.01")]),
        "of the line plan_base 29.00 USD can be given back, not 29.01 USD",
    ),
    "what a customer credit paid": (
        corrected("issue_credit_note", "2026-04-10", INITIAL, lines=[("plan_base", None, "27.00")]),
        "26.43 USD of what was charged for the lines is left, not 27.00 USD",
    ),
    "a tax line": (
        corrected("issue_credit_note", "2026-04-10", INITIAL, lines=[("tax", "standard", "1.00")]),
        "of the line tax standard 0.00 USD can be given back, not 1.00 USD",
    ),
    "too fine a line": (
        corrected("issue_credit_note", "2026-04-10", INITIAL, lines=[("plan_base", None, "0.001")]),
        "of the line plan_base 29.00 USD can be given back, not 0.00 USD",
    ),
    "above the whole": (
        corrected("issue_credit_note", "2026-04-10", INITIAL, "81.66"),
        "81.65 USD of the invoice can still be given back, not 81.66 USD",
    ),
    "too fine an amount": (
        corrected("refund", "2026-04-10", INITIAL, "1.001"),
        "1.001 is no amount: USD has 2 decimals",
    ),
    "a refund of a line that is not there": (
        corrected("refund", "2026-04-10", INITIAL, lines=[("pack", "p", "1.00")]),
        "of the line pack p 0.00 USD can be given back, not 1.00 USD",
    ),
    "a refund above what was paid": (
        corrected("refund", "2026-04-10", INITIAL, "81.66"),
        "81.65 USD is held of what was paid for acme/initial/s1/2026-04-01; "
        "no more can be paid back",
    ),
    "a write-off of what is paid": (
        corrected("write_off", "2026-04-10", INITIAL, "0.01"),
        "0.00 USD of acme/initial/s1/2026-04-01 is unpaid; no more can be written off",
    ),
}


@pytest.mark.parametrize(("correction", "what"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_there_is_refused(correction: Any, what: str) -> None:
    told = told_of(correction)
    assert (str(told.outcomes[-1]), told.outcomes[-1].what) == ("refused not_found", what)
    assert notes(told) == []


@pytest.mark.parametrize("do", ["issue_credit_note", "write_off", "refund"])
@pytest.mark.parametrize("actor", ["customer", "founder"])
def test_only_the_founder_corrects_and_only_what_was_made(do: str, actor: str) -> None:
    told = told_of(corrected(do, "2026-04-10", MAY, "1.00", actor=actor))
    reason = "unknown_invoice" if actor == "founder" else "wrong_actor"
    assert str(told.outcomes[-1]) == f"refused {reason}"


@pytest.mark.parametrize("do", ["write_off", "refund"])
def test_lines_that_are_written_off_or_paid_back_count_with_their_tax(do: str) -> None:
    """Of a credited line too: it is what the money was for. 10.00 + 2.10."""
    note = corrected("issue_credit_note", "2026-05-02", MAY, lines=[("plan_base", None, "29.00")])
    pays = [paid("2026-05-03", MAY)] if do == "refund" else []
    last = corrected(do, "2026-05-04", MAY, lines=[("plan_base", None, "10.00")], id="last")
    told = told_of(note, *pays, last, until="2026-05-10")
    record = next(it for it in told.state.invoices if it.id.endswith("2026-05-01"))
    assert outcomes(told)["last"] == "applied"
    assert str((record.refunded if do == "refund" else record.written_off).major) == "12.10"


def test_late_usage_gives_back_before_a_note_does() -> None:
    """PST-2: of April's 20.00 of overage 10.00 came back, so that 10.00 with tax is left."""
    uses = [use("2026-04-20", "11000"), use("2026-04-25", "-500", landed_on="2026-05-10")]
    lines = [("feature_overage", "api_calls", "10.01")]
    steps = [
        corrected("issue_credit_note", "2026-06-02", MAY, lines=lines, id="above"),
        corrected(
            "issue_credit_note", "2026-06-03", MAY, lines=[(*lines[0][:2], "10.00")], id="rest"
        ),
    ]
    setting = setting_of(ladder(**TAXED), uses=uses, assumes_payment=False)
    told = posted([*STARTED, *steps], setting, "2026-06-10")
    assert outcomes(told)["above"] == "refused not_found"
    assert invoices(told)[-1] == (
        "2026-06-03 credit_note: feature_overage api_calls -10.00; tax standard -2.10 = -12.10"
    )


def test_a_posted_note_is_told_as_it_is() -> None:
    note = corrected("issue_credit_note", "2026-04-10", INITIAL, "8.00")
    first = told_of(note)
    again = told_of(note, booked={it.id: it for it in first.invoices})
    assert again.invoices == first.invoices
    assert again.state == first.state


def test_lines_of_a_draft_cannot_be_paid_back() -> None:
    """It has none to name until it is made; an amount of what was paid of it can be."""
    part = paid("2026-04-02", INITIAL, amount="9.00")
    lines = corrected("refund", "2026-04-03", INITIAL, lines=[("plan_base", None, "1.00")])
    whole = corrected("refund", "2026-04-04", INITIAL, "9.00")
    story = [DUTCH, subscribed("2026-04-01"), part, lines, whole]
    told = folded(story, setting_of(assumes_payment=False), "2026-04-05")
    assert [str(it) for it in told.outcomes[-2:]] == ["refused unknown_invoice", "applied"]


AMOUNTS = st.integers(1, 9000).map(lambda minor: str(Decimal(minor).scaleb(-2)))
CORRECTIONS = st.lists(
    st.tuples(
        st.sampled_from(["issue_credit_note", "write_off", "refund", "paid", "failed"]),
        st.sampled_from([INITIAL, MAY, JUNE]),
        AMOUNTS,
        st.sampled_from([None, ("plan_base", None), ("feature_seats", "editors")]),
    ),
    max_size=10,
)


def step_of(place: int, step: tuple[Any, ...]) -> Any:
    do, invoice, amount, line = step
    at = f"2026-06-02 {place:02}:00"
    if do in {"paid", "failed"}:
        result = "succeeded" if do == "paid" else "failed"
        return paid(at, invoice, result=result, amount=amount, id=f"step-{place}")
    of = {"lines": [(*line, amount)]} if line else {"amount": amount}
    return corrected(do, at, invoice, id=f"step-{place}", **of)


@settings(max_examples=40, deadline=None)
@given(steps=CORRECTIONS)
def test_the_outstanding_balance_is_what_was_invoiced_less_all_that_came_and_went(
    steps: list[tuple[Any, ...]],
) -> None:
    """Rules PAY-2 and PST-2: the equation, and no credit beyond what was invoiced."""
    told = told_of(*(step_of(place, step) for place, step in enumerate(steps)))
    made = [it for it in told.invoices if it.type is not InvoiceType.CREDIT_NOTE]
    came = {"paid": 8165, "refund": 0, "write_off": 0}
    for place, (do, _, amount, line) in enumerate(steps):
        if (
            outcomes(told)[f"step-{place}"] == "applied"
            and do in came
            and not (line and do != "paid")
        ):
            came[do] += int(Decimal(amount) * 100)
    records = told.state.invoices
    with_lines = any(line and do in {"write_off", "refund"} for do, _, _, line in steps)
    if not with_lines:
        assert sum(it.written_off.minor for it in records) == came["write_off"]
        assert sum(it.refunded.minor for it in records) == came["refund"]
        assert sum(it.unpaid.minor for it in records) == (
            sum(it.total.minor for it in made) - came["paid"] + came["refund"]
            + sum(it.total.minor for it in notes(told)) - came["write_off"]
        )  # fmt: skip
    for record in records:
        assert record.credited.minor + record.written_off.minor <= record.total.minor
        assert 0 <= record.refunded.minor <= record.paid.minor


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(st.tuples(AMOUNTS, st.sampled_from([None, 0, 1])), max_size=6))
def test_notes_add_up_to_the_invoice_line_by_line(steps: list[tuple[str, int | None]]) -> None:
    """PST-2, CNV-4: after whatever notes, the rest can be credited, and nothing beyond it."""
    lines = [("plan_base", None), ("feature_seats", "editors")]
    done = [
        corrected(
            "issue_credit_note", f"2026-04-10 {place:02}:00", INITIAL, id=f"note-{place}",
            **({"amount": amount} if of is None else {"lines": [(*lines[of], amount)]}),
        )
        for place, (amount, of) in enumerate(steps)
    ]  # fmt: skip
    rest = 8165 + sum(it.total.minor for it in notes(told_of(*done, until="2026-04-12")))
    if rest:
        amount = str(Decimal(rest).scaleb(-2))
        done.append(corrected("issue_credit_note", "2026-04-12", INITIAL, amount, id="rest"))
    more = corrected("issue_credit_note", "2026-04-13", INITIAL, "0.01", id="more")
    told = told_of(*done, more, until="2026-04-14")
    assert outcomes(told)["more"] == "refused not_found"
    sums: dict[Any, int] = defaultdict(int)
    for note in notes(told):
        assert note.total.minor < 0
        for line in note.lines:
            assert line.amount.minor <= 0
            sums[line.type, line.tax_rate_bp] += line.amount.minor
    assert sum(sums.values()) == -8165
    taxes = {rate: minor for (kind, rate), minor in sums.items() if kind is LineType.TAX}
    assert taxes == {2100: -555, 900: -410}
