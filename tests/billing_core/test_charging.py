"""Rules PAY-1, PAY-3: what is collected for an invoice, and by which attempts."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing_core.charging import ChargeRecord, attempts_of, charge_records, kind_of
from billing_core.invoice import Invoice, InvoiceType, LineType
from billing_core.money import Money
from billing_core.state import InvoiceRecord, PaymentResult
from tests.billing_core.builders import (
    USD,
    act,
    created,
    day,
    folded,
    instant,
    line,
    paid,
    setting_of,
    subscribed,
    use,
)

INITIAL, MAY = ("initial", "2026-04-01"), ("recurring", "2026-05-01")
STOP = act("2026-05-10", "cancel", when="period_end")
NOTHING = Money(0, USD)


def records(
    *steps: Any,
    at: str = "2026-05-20",
    uses: list[Any] | None = None,
    handed_out: dict[str, str] | None = None,
    **fields: Any,
) -> tuple[ChargeRecord, ...]:
    """The charge records of acme, whose initial invoice is paid at once."""
    setting = setting_of(uses=uses or [], assumes_payment=False)
    start = [created(**fields), subscribed("2026-04-01"), paid("2026-04-01", INITIAL)]
    told = folded([*start, *steps], setting, at[:10])
    handed = {f"acme/{name}": instant(moment) for name, moment in (handed_out or {}).items()}
    return charge_records(told.state, setting, at=instant(at), handed_out=handed)


def shown(record: ChargeRecord) -> str:
    attempts = [
        f"{it.due_at:%m-%d %H:%M} {it.result or ('silent' if it.is_silent else 'next')}"
        for it in record.attempts
    ]
    due = "" if record.due_at is None else f"{record.due_at:%m-%d %H:%M}"
    return f"{record.kind} {record.unpaid.major}/{record.amount.major} by {due}: " + ", ".join(
        attempts
    )


def failed(at: str, invoice: Any = MAY) -> Any:
    return paid(at, invoice, result="failed")


HANDED = {"recurring/s1/2026-05-01": "2026-05-02 09:00"}
COLLECTED: dict[str, tuple[list[Any], dict[str, Any], str]] = {
    # case: (payment results, when looked at, May's charge record)
    "not handed out": (
        [], {"at": "2026-05-01 12:00"}, "29.00/29.00 by 05-01 00:00: 05-01 00:00 next"
    ),
    "handed out": (
        [], {"at": "2026-05-02 10:00", "handed_out": HANDED},
        "29.00/29.00 by 05-01 00:00: 05-02 09:00 next",
    ),
    "silent just before 24 hours": (
        [], {"at": "2026-05-03 08:59", "handed_out": HANDED},
        "29.00/29.00 by 05-01 00:00: 05-02 09:00 next",
    ),
    "silent at 24 hours": (
        [], {"at": "2026-05-03 09:00", "handed_out": HANDED},
        "29.00/29.00 by 05-01 00:00: 05-02 09:00 silent",
    ),
    "succeeded": (
        [paid("2026-05-02 10:00", MAY)], {"handed_out": HANDED},
        "0.00/29.00 by 05-01 00:00: 05-02 09:00 succeeded",
    ),
    "failed once": (
        [failed("2026-05-02 10:00")], {"at": "2026-05-02 11:00", "handed_out": HANDED},
        "29.00/29.00 by 05-01 00:00: 05-02 09:00 failed, 05-02 18:00 next",
    ),
    "failed twice, the second late": (
        [failed("2026-05-02 10:00"), failed("2026-05-03 05:00")],
        {"at": "2026-05-03 06:00", "handed_out": HANDED},
        "29.00/29.00 by 05-01 00:00: 05-02 09:00 failed, 05-02 18:00 failed, 05-03 05:00 next",
    ),
    "failed to the end": (
        [failed("2026-05-02 10:00"), failed("2026-05-02 18:00"), failed("2026-05-03 02:00")],
        {"handed_out": HANDED},
        "29.00/29.00 by 05-01 00:00: 05-02 09:00 failed, 05-02 18:00 failed, 05-03 02:00 failed",
    ),
    "a retry succeeded": (
        [failed("2026-05-02 10:00"), paid("2026-05-02 18:00", MAY)], {"handed_out": HANDED},
        "0.00/29.00 by 05-01 00:00: 05-02 09:00 failed, 05-02 18:00 succeeded",
    ),
    "a part": (
        [paid("2026-05-02 10:00", MAY, amount="9.00")],
        {"at": "2026-05-02 11:00", "handed_out": HANDED},
        "20.00/29.00 by 05-01 00:00: 05-02 09:00 succeeded, 05-02 10:00 next",
    ),
    "paid before it was handed out": (
        [paid("2026-05-01 01:00", MAY)], {"handed_out": HANDED},
        "0.00/29.00 by 05-01 00:00: 05-01 01:00 succeeded",
    ),
    "credited as a whole": (
        [
            act(
                "2026-05-01 01:00", "issue_credit_note", amount="29.00", reason="an outage",
                invoice={"type": MAY[0], "on": MAY[1]},
            )
        ],
        {}, "0.00/29.00 by 05-01 00:00: ",
    ),
    "on terms": (
        [], {"collection": "on_terms", "payment_days": 10}, "29.00/29.00 by 05-11 00:00: "
    ),
}  # fmt: skip


@pytest.mark.parametrize(("steps", "given_", "expected"), COLLECTED.values(), ids=COLLECTED)
def test_the_attempts_to_collect_an_invoice(
    steps: list[Any], given_: dict[str, Any], expected: str
) -> None:
    assert shown(records(*steps, **given_)[1]) == f"recurring {expected}"


def test_every_invoice_above_0_makes_one_charge_record() -> None:
    """A final invoice whose payment failed is not tried again. Rule PAY-3."""
    found = records(
        paid("2026-05-01", MAY), STOP, failed("2026-06-01 01:00", ("final", "2026-06-01")),
        at="2026-06-10", uses=[use("2026-05-05", "10100")],
    )  # fmt: skip
    assert [(it.id, it.customer_id, it.collection) for it in found] == [
        ("acme/initial/s1/2026-04-01", "acme", "automatic"),
        ("acme/recurring/s1/2026-05-01", "acme", "automatic"),
        ("acme/final/s1/2026-06-01", "acme", "automatic"),
    ]
    assert shown(found[2]) == "final 2.00/2.00 by 06-01 00:00: 06-01 00:00 failed"


def test_a_draft_on_terms_has_no_day_to_pay_until_it_is_issued() -> None:
    setting = setting_of(assumes_payment=False, takes_later_usage=True)
    start = [created(collection="on_terms"), subscribed("2026-04-01"), paid("2026-04-01", INITIAL)]
    told = folded(start, setting, "2026-05-20")
    last = charge_records(told.state, setting, at=instant("2026-05-20"), handed_out={})[-1]
    assert (last.due_at, last.attempts) == (None, ())
    issued = setting_of(
        assumes_payment=False, takes_later_usage=True, due_on={last.id: day("2026-06-10")}
    )
    again = charge_records(told.state, issued, at=instant("2026-05-20"), handed_out={})[-1]
    assert again.due_at == instant("2026-06-10")


WAITING: dict[str, tuple[list[Any], str]] = {
    # case: (results of the checkout, its charge record)
    "not tried": ([], "initial 29.00/29.00 by 04-01 00:00: 04-01 00:00 next"),
    "failed": (
        [paid("2026-04-01 02:00", INITIAL, result="failed")],
        "initial 29.00/29.00 by 04-01 00:00: 04-01 00:00 failed, 04-01 10:00 next",
    ),
    "paid in part": (
        [paid("2026-04-01 02:00", INITIAL, amount="9.00")],
        "initial 20.00/29.00 by 04-01 00:00: 04-01 00:00 succeeded, 04-01 02:00 next",
    ),
}


@pytest.mark.parametrize(("steps", "expected"), WAITING.values(), ids=WAITING)
def test_a_checkout_is_collected_before_it_is_an_invoice(steps: list[Any], expected: str) -> None:
    setting = setting_of(assumes_payment=False)
    told = folded([created(), subscribed("2026-04-01"), *steps], setting, "2026-04-01")
    at = instant("2026-04-01 03:00")
    (record,) = charge_records(told.state, setting, at=at, handed_out={})
    assert shown(record) == expected


KINDS = {
    "CRD-2": "credit_pack",
    "CAP-1": "capacity_pack",
    "JOB-3": "quota_pack",
    "STO-1": "pack_purchase",
}


@pytest.mark.parametrize(("rule", "kind"), KINDS.items())
def test_a_pack_is_charged_by_its_kind(rule: str, kind: str) -> None:
    bought = Invoice(
        id="p", customer_id="acme", type=InvoiceType.PACK_PURCHASE, billing_day=day("2026-04-01"),
        made_at=instant("2026-04-01"), known_on=day("2026-04-01"), currency=USD, plan="pro",
        plan_name="Pro", lines=(line("10.00", LineType.PACK, rule=rule),),
    )  # fmt: skip
    assert kind_of(bought) == kind


RESULTS = st.lists(
    st.tuples(st.integers(0, 72), st.sampled_from(["failed", "succeeded"])), max_size=6
)


@settings(max_examples=100, deadline=None)
@given(told=RESULTS, offsets=st.lists(st.integers(1, 48), max_size=3))
def test_attempts_are_one_for_each_result_and_at_most_one_more(
    told: list[tuple[int, str]], offsets: list[int]
) -> None:
    """Rule PAY-1: never more retries than the policy has, and none before the last result."""
    first_at = instant("2026-05-01")
    results = tuple(
        PaymentResult(
            str(place), instant(f"2026-05-0{1 + hour // 24} {hour % 24:02}:00"), result, NOTHING
        )
        for place, (hour, result) in enumerate(sorted(told))
    )
    record = InvoiceRecord(
        "i", InvoiceType.RECURRING, day("2026-05-01"), Money(2900, USD),
        NOTHING, NOTHING, NOTHING, NOTHING, payments=results,
    )  # fmt: skip
    made = attempts_of(record, first_at, sorted(offsets), at=instant("2026-06-01"))
    failures = sum(result == "failed" for _, result in told)
    assert [it.number for it in made] == list(range(1, len(made) + 1))
    assert [it.result for it in made[: len(told)]] == [it.result for it in results]
    assert len(made) == len(told) + (failures <= len(offsets))
    assert all(it.due_at <= it.result_at for it in made if it.result_at)
    if made[len(told) :] and results:
        assert made[-1].due_at >= results[-1].at
