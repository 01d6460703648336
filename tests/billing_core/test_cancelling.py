"""Rules SUB-6, SUB-9, PAY-3: how a subscription ends, and what is charged and given back."""

from typing import Any

import pytest

from billing_core.cycle import paid_period, running
from billing_core.state import InvoiceRecord, Status, Subscription
from billing_core.terms import terms_of
from tests.billing_core.builders import (
    USD,
    act,
    created,
    day,
    folded,
    instant,
    invoices,
    ladder,
    outcomes,
    paid,
    setting_of,
    subscribed,
    use,
)

UNPAID: dict[str, Any] = {"assumes_payment": False}
DUTCH: dict[str, Any] = {
    "seller": {"name": "Example Labs B.V.", "country": "NL"},
    "tax": [{"country": "NL", "rate_bp": "2100", "from": "2012-10-01"}],
}


def stopped(at: str, when: str = "now") -> Any:
    """A cancellation with the id `stop`."""
    return act(at, "cancel", when=when, id="stop")


def credit_of(told: Any) -> list[str]:
    """What is left of acme's customer credits."""
    return [str(credit.left.major) for credit in told.state.credits if credit.left.minor]


# fmt: off
NOW = {
    # case                            cancelled at             credit
    "on the first day":             ("2026-04-01",             ["29.00"]),
    "late on the first day":        ("2026-04-01 23:59",       ["29.00"]),
    "on the second day":            ("2026-04-02",             ["28.03"]),
    "with half of the days left":   ("2026-04-16",             ["14.50"]),
    "on the last day":              ("2026-04-30 12:00",       ["0.97"]),
    "as the next period begins":    ("2026-05-01",             ["29.00"]),
}
# fmt: on


@pytest.mark.parametrize(("at", "credit"), NOW.values(), ids=NOW)
def test_cancelled_now_unused_days_are_credited(at: str, credit: list[str]) -> None:
    told = folded([created(), subscribed("2026-04-01"), stopped(at)], setting_of(), "2026-07-01")
    assert credit_of(told) == credit
    assert outcomes(told)["stop"] == "applied"
    subscription = told.state.subscription
    assert subscription is not None
    assert (subscription.status, subscription.window) == (Status.CANCELED, None)
    assert len(told.invoices) == (2 if at == "2026-05-01" else 1)


def test_the_credit_pays_the_final_invoice_first() -> None:
    """Overage 40.00 and a true-up of 12.50; plan 14.50, advance 25.00, true-up 12.50 unused."""
    story = [
        created(),
        subscribed("2026-04-01", seats={"editors": "7"}),
        act("2026-04-16", "add_seats", feature="editors", quantity="1"),
        stopped("2026-04-16"),
    ]
    told = folded(story, setting_of(uses=[use("2026-04-10", "12000")]), "2026-07-01")
    assert invoices(told)[1:] == [
        "2026-04-16 final: feature_overage api_calls 40.00; feature_seats/true_up editors 12.50; "
        "credit -14.50; credit editors -37.50 = 0.50"
    ]
    assert credit_of(told) == []


def test_what_the_credit_exceeds_is_kept() -> None:
    uses = [use("2026-04-10", "10500")]
    story = [created(), subscribed("2026-04-01"), stopped("2026-04-16")]
    told = folded(story, setting_of(uses=uses), "2026-07-01")
    assert invoices(told)[1:] == [
        "2026-04-16 final: feature_overage api_calls 10.00; credit -10.00 = 0.00"
    ]
    assert credit_of(told) == ["4.50"]


def test_a_true_up_that_is_pending_is_charged_and_its_unused_days_credited() -> None:
    """2 x 25.00 x 20/30 = 33.33 charged; 14.50 and 2 x 25.00 x 15/30 = 25.00 unused."""
    story = [
        created(),
        subscribed("2026-04-01", seats={"editors": "5"}),
        act("2026-04-11", "add_seats", feature="editors", quantity="2"),
        stopped("2026-04-16"),
    ]
    told = folded(story, setting_of(), "2026-07-01")
    assert invoices(told)[1:] == [
        "2026-04-16 final: feature_seats/true_up editors 33.33; credit -14.50; "
        "credit editors -18.83 = 0.00"
    ]
    assert credit_of(told) == ["6.17"]


def test_a_year_is_credited_by_its_own_days() -> None:
    story = [created(), subscribed("2026-01-01", interval="yearly"), stopped("2026-07-02")]
    told = folded(story, setting_of(), "2026-12-31")
    assert credit_of(told) == ["145.40"]  # 290.00 x 183/365


def test_the_window_that_is_closed_is_rated_to_the_instant() -> None:
    uses = [use("2026-04-16 09:59:59.999999", "10100"), use("2026-04-16 10:00", "999")]
    story = [created(), subscribed("2026-04-01"), stopped("2026-04-16 10:00")]
    told = folded(story, setting_of(uses=uses), "2026-07-01")
    (closed,) = told.windows
    assert (closed.key.end_at, closed.window.end) == (
        instant("2026-04-16 10:00"),
        day("2026-04-16"),
    )
    assert closed.invoice_id == told.invoices[1].id
    assert closed.usage[0].used == 10_100


WHEN = {
    "at the end of the month": ("monthly", "2026-04-10", "scheduled 2026-05-01", "final"),
    "on the first day": ("monthly", "2026-04-01", "scheduled 2026-05-01", "final"),
    "on the last day": ("monthly", "2026-04-30 23:59", "scheduled 2026-05-01", "final"),
    "at the end of the quarter": ("quarterly", "2026-04-10", "scheduled 2026-07-01", "final"),
}


@pytest.mark.parametrize(("interval", "at", "outcome", "last"), WHEN.values(), ids=WHEN)
def test_cancelled_at_the_end_of_the_period(
    interval: str, at: str, outcome: str, last: str
) -> None:
    """The last window's overage is owed; nothing is credited."""
    story = [created(), subscribed("2026-04-01", interval=interval), stopped(at, "period_end")]
    uses = [use("2026-04-20", "12000"), use("2026-06-20", "11000")]
    told = folded(story, setting_of(uses=uses), "2026-12-31")
    assert outcomes(told)["stop"] == outcome
    assert (told.invoices[-1].type, credit_of(told)) == (last, [])
    assert told.state.subscription is not None
    assert told.state.subscription.status is Status.CANCELED


def test_without_overage_no_final_invoice_is_made() -> None:
    story = [created(), subscribed("2026-04-01"), stopped("2026-04-10", "period_end")]
    told = folded(story, setting_of(), "2026-12-31")
    assert len(told.invoices) == 1
    assert told.windows[-1].invoice_id is None


def test_seats_added_before_the_end_are_settled_on_the_final_invoice() -> None:
    story = [
        created(),
        subscribed("2026-04-01", seats={"editors": "5"}),
        stopped("2026-04-10", "period_end"),
        act("2026-04-16", "add_seats", feature="editors", quantity="2"),
    ]
    assert invoices(folded(story, setting_of(), "2026-12-31"))[1:] == [
        "2026-05-01 final: feature_seats/true_up editors 25.00 = 25.00"
    ]


UNDONE: dict[str, tuple[list[Any], str]] = {
    "in time": ([stopped("2026-04-10", "period_end")], "applied"),
    "nothing to undo": ([], "refused not_cancelling"),
    "too late, cancelled now": ([stopped("2026-04-10")], "refused not_cancelling"),
}


@pytest.mark.parametrize(("before", "outcome"), UNDONE.values(), ids=UNDONE)
def test_undo_cancel(before: list[Any], outcome: str) -> None:
    undo = act("2026-04-20", "undo_cancel", id="undo")
    told = folded([created(), subscribed("2026-04-01"), *before, undo], setting_of(), "2026-05-01")
    assert outcomes(told)["undo"] == outcome
    is_ended = told.state.subscription is None or told.state.subscription.window is None
    assert len(told.invoices) == (1 if is_ended else 2)


def test_undo_on_the_day_itself_is_too_late() -> None:
    story = [
        created(),
        subscribed("2026-04-01"),
        stopped("2026-04-10", "period_end"),
        act("2026-05-01", "undo_cancel", id="undo"),
    ]
    told = folded(story, setting_of(), "2026-05-31")
    assert outcomes(told)["undo"] == "refused not_cancelling"


@pytest.mark.parametrize("first", [None, stopped("2026-04-02").model_copy(update={"id": "first"})])
def test_without_a_subscription_there_is_nothing_to_cancel(first: Any) -> None:
    before = [] if first is None else [subscribed("2026-04-01"), first]
    told = folded([created(), *before, stopped("2026-04-10")], setting_of(), "2026-04-30")
    assert outcomes(told)["stop"] == "refused not_subscribed"


@pytest.mark.parametrize("when", ["now", "period_end"])
def test_a_checkout_is_cancelled_at_once_without_invoice(when: str) -> None:
    story = [created(), subscribed("2026-04-01"), stopped("2026-04-02", when)]
    story.append(paid("2026-04-03", ("initial", "2026-04-01"), id="pay"))
    told = folded(story, setting_of(**UNPAID), "2026-06-01")
    assert (told.invoices, told.state.invoices) == ((), ())
    assert outcomes(told)["stop"] == "applied"
    assert outcomes(told)["pay"] == "refused unknown_invoice"


@pytest.mark.parametrize("when", ["now", "period_end"])
def test_a_free_plan_is_cancelled_at_once(when: str) -> None:
    story = [created(), subscribed("2026-04-01", plan="free"), stopped("2026-04-11 12:00", when)]
    told = folded(story, setting_of(uses=[use("2026-04-11", "5")]), "2026-06-01")
    assert (told.invoices, outcomes(told)["stop"]) == ((), "applied")
    assert [(w.usage[0].used, w.window.end) for w in told.windows] == [(5, day("2026-04-11"))]


def unpaid_renewal(*after: Any, **fields: Any) -> list[Any]:
    """April is paid; May's invoice is not."""
    return [
        created(**fields),
        subscribed("2026-04-01", seats={"editors": "7"}),
        paid("2026-04-01", ("initial", "2026-04-01")),
        *after,
    ]


def record(told: Any, kind: str) -> InvoiceRecord:
    """What the state knows of the last invoice of a type."""
    return next(item for item in reversed(told.state.invoices) if item.type == kind)


def test_an_unpaid_invoice_is_reduced_by_a_credit_note_and_no_credit_is_made() -> None:
    """16 of 31 days are unused: 29.00 -> 14.97, 50.00 -> 25.81. Rule SUB-9."""
    told = folded(unpaid_renewal(stopped("2026-05-16")), setting_of(**UNPAID), "2026-06-30")
    assert invoices(told)[2:] == [
        "2026-05-16 credit_note: plan_base/unused -14.97; "
        "feature_seats/unused editors -25.81 = -40.78"
    ]
    assert [line.corrects for line in told.invoices[2].lines] == [told.invoices[1].id] * 2
    assert credit_of(told) == []
    assert str(record(told, "recurring").unpaid) == "38.22 USD"


def test_a_credit_note_gives_back_the_tax() -> None:
    setting = setting_of(ladder(**DUTCH), **UNPAID)
    story = unpaid_renewal(stopped("2026-05-16"), is_taxed=True, country="NL")
    told = folded(story, setting, "2026-06-30")
    assert invoices(told)[1:] == [
        "2026-05-01 recurring: plan_base 29.00; feature_seats/advance editors 50.00; "
        "tax standard 16.59 = 95.59",
        "2026-05-16 credit_note: plan_base/unused -14.97; "
        "feature_seats/unused editors -25.81; tax standard -8.56 = -49.34",
    ]


def test_overage_of_an_unpaid_period_is_charged_beside_the_credit_note() -> None:
    setting = setting_of(uses=[use("2026-05-10", "10050")], **UNPAID)
    told = folded(unpaid_renewal(stopped("2026-05-16")), setting, "2026-06-30")
    assert [line.partition(":")[0] for line in invoices(told)[2:]] == [
        "2026-05-16 credit_note",
        "2026-05-16 final",
    ]
    assert str(told.invoices[3].total) == "1.00 USD"
    assert told.windows[-1].invoice_id == told.invoices[3].id


PARTLY = {
    # case         catalog  tax on 34.00
    "untaxed": ({}, "0.00"),
    "taxed": (DUTCH, "7.14"),
}


@pytest.mark.parametrize(("catalog", "tax"), PARTLY.values(), ids=PARTLY)
def test_a_credit_note_is_at_most_what_is_unpaid(catalog: dict[str, Any], tax: str) -> None:
    """Customer credits paid 20.00 of June's 54.00, all of which is unused. Rule SUB-9."""
    story = [
        created(is_taxed=bool(catalog), country="NL"),
        subscribed("2026-01-01", interval="yearly"),
        paid("2026-01-01", ("initial", "2026-01-01")),
        act("2026-01-01", "cancel", when="now"),
        subscribed("2026-01-01", id="s2", seats={"editors": "6"}),
        stopped("2026-06-01"),
    ]
    told = folded(story, setting_of(ladder(**catalog), **UNPAID), "2026-06-30")
    (note,) = told.invoices[7:]
    assert [str(line.amount.major) for line in note.lines][:2] == ["-29.00", "-5.00"]
    assert (str(-note.tax.major), str(-note.subtotal.major)) == (tax, "34.00")
    assert record(told, "recurring").unpaid.minor == 0
    assert credit_of(told) == []


@pytest.mark.parametrize("when", ["now", "period_end"])
def test_past_due_is_cancelled_at_once_and_the_unpaid_windows_overage_waived(when: str) -> None:
    """Rules SUB-6, PAY-3."""
    failed = paid("2026-05-01", ("recurring", "2026-05-01"), result="failed")
    story = unpaid_renewal(failed, stopped("2026-05-16", when))
    setting = setting_of(uses=[use("2026-05-10", "12000")], **UNPAID)
    told = folded(story, setting, "2026-06-30")
    assert [line.partition(":")[0] for line in invoices(told)[2:]] == ["2026-05-16 credit_note"]
    used = told.windows[-1].usage[0]
    assert (used.billed, used.waived, used.from_included) == (0, 2_000, 10_000)
    assert told.state.subscription is not None
    assert told.state.subscription.status is Status.CANCELED


def test_what_has_no_window_or_period_cannot_be_closed() -> None:
    terms = terms_of(ladder(), "starter", "monthly", USD)
    bare = Subscription("s1", Status.ACTIVE, terms, day("2026-04-01"))
    with pytest.raises(ValueError, match="no running window"):
        running(bare)
    with pytest.raises(ValueError, match="no period"):
        paid_period(bare)
