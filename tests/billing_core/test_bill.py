"""Rules ACT-3, ACT-4, USE-7, INV-10, INV-12: what is posted stays, the difference follows."""

import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from billing_core.bill import (
    bill,
    bill_posted_at_cutoff,
    late_action_days,
    open_window,
    with_booked,
)
from billing_core.fold import Folded
from billing_core.invoice import Invoice, InvoiceType, LineType
from billing_core.setting import NEVER, Setting
from billing_core.usage import WindowKey
from tests.billing_core.builders import (
    LADDER,
    Metered,
    Used,
    act,
    created,
    day,
    folded,
    instant,
    invoices,
    ladder,
    outcomes,
    paid,
    posted,
    setting_of,
    subscribed,
    use,
)

SEATS = [created(), subscribed("2026-04-01", seats={"editors": "7"})]
START = [created(), subscribed("2026-04-01")]
YEARLY = [created(), subscribed("2026-01-01", interval="yearly")]
PAID_START = paid("2026-04-01", ("initial", "2026-04-01"))


def credits_left(told: Folded) -> list[str]:
    return [str(credit.left.major) for credit in told.state.credits if credit.left.minor]


def same(told: Folded) -> Folded:
    """A history without the cutoffs of its windows: those of posted ones move with time."""
    windows = (replace(w, key=replace(w.key, cutoff_on=date.min)) for w in told.windows)
    return replace(told, windows=tuple(windows))


def month_by_month(actions: list[Any], setting: Setting, until: str) -> Folded:
    """The history folded and posted each month, to the end of a day."""
    end, on = instant(until) + timedelta(days=1), min(action.at for action in actions[1:])
    while on < end:
        answer = bill("acme", actions, setting, until=on)
        assert answer.folded is not None, answer.fault
        setting = with_booked(setting, answer.folded.invoices)
        on += timedelta(days=30, hours=7)
    return folded(actions, setting, until)


def test_a_posted_history_folded_again_says_the_same() -> None:
    """Nothing new: no adjustment, the same invoices, the same state."""
    story = [*SEATS, act("2026-04-16", "add_seats", feature="editors", quantity="2")]
    setting = setting_of(uses=[use("2026-04-20", "12000"), use("2026-05-20", "11000")])
    first = folded(story, setting, "2026-07-15")
    again = folded(story, with_booked(setting, first.invoices), "2026-07-15")
    assert same(again) == same(first)


def test_a_checkout_paid_on_a_later_day_stays_once_posted() -> None:
    story = [created(), subscribed("2026-04-01"), paid("2026-04-03", ("initial", "2026-04-01"))]
    setting = setting_of(assumes_payment=False)
    first = folded(story, setting, "2026-04-10")
    assert folded(story, with_booked(setting, first.invoices), "2026-04-10") == first


ENDED: dict[str, tuple[list[Any], list[Used], list[str]]] = {
    "the credit exceeds the overage": (
        [act("2026-04-16", "cancel", when="now")],
        [use("2026-04-10", "10500")],
        ["4.50"],
    ),
    "a true-up is credited": (
        [
            act("2026-04-11", "add_seats", feature="editors", quantity="7"),
            act("2026-04-16", "cancel", when="now"),
        ],
        [],
        ["6.17"],
    ),
    "nothing is owed": ([act("2026-04-16", "cancel", when="now")], [], ["14.50"]),
}


@pytest.mark.parametrize(("ending", "uses", "credit"), ENDED.values(), ids=ENDED)
def test_a_surplus_credit_outlives_the_posting_of_its_invoice(
    ending: list[Any], uses: list[Used], credit: list[str]
) -> None:
    """Rules SUB-9, CHG-6: what a posted invoice cut off its credit is still the customer's."""
    setting = setting_of(uses=uses)
    first = folded([*START, *ending], setting, "2026-04-30")
    assert credits_left(first) == credit
    again = folded([*START, *ending], with_booked(setting, first.invoices), "2026-04-30")
    assert same(again) == same(first)
    later = [*START, *ending, subscribed("2026-05-10", id="s2")]
    told = folded(later, with_booked(setting, first.invoices), "2026-05-20")
    assert invoices(told)[-1] == invoices(folded(later, setting, "2026-05-20"))[-1]


def test_a_credit_cut_to_the_tax_of_its_invoice_outlives_the_posting() -> None:
    """Rules CHG-6, TAX-2: 10.00 at 9 % bear 9.01 of the 14.50 at 21 %; 5.49 stay, posted or not."""
    features = {**LADDER["features"]}
    features["api_calls"] = {**features["api_calls"], "tax_category": "reduced"}
    rates = {"standard": "2100", "reduced": "900"}
    catalog = ladder(
        features=features,
        seller={"name": "Example Labs B.V.", "country": "NL"},
        tax=[
            {"country": "NL", "category": name, "rate_bp": rate, "from": "2012-10-01"}
            for name, rate in rates.items()
        ],
    )
    setting = setting_of(catalog, uses=[use("2026-04-10", "10500")])
    story = [created(is_taxed=True, country="NL"), subscribed("2026-04-01")]
    story += [act("2026-04-16", "cancel", when="now")]
    first = folded(story, setting, "2026-04-30")
    assert credits_left(first) == ["5.49"]
    assert same(folded(story, with_booked(setting, first.invoices), "2026-06-30")) == same(first)


def test_customer_credits_drawn_by_posted_invoices_are_gone() -> None:
    story = [
        created(),
        subscribed("2026-01-01", interval="yearly"),
        act("2026-01-01", "cancel", when="now"),
        subscribed("2026-01-01", id="s2"),
    ]
    posted_each_month = month_by_month(story, setting_of(), "2026-12-31")
    assert same(posted_each_month) == same(folded(story, setting_of(), "2026-12-31"))


def test_what_an_end_behind_a_posted_invoice_gave_back_stays_given_back() -> None:
    """Rule PST-2: no note can credit once more the days that a customer credit gave back."""
    story = [
        created(is_taxed=True, country="NL"),
        subscribed("2026-01-01"),
        act("2026-01-02 07:00", "cancel", when="now"),
        subscribed("2026-01-02 07:00", id="s2"),
    ]
    first = folded(story, setting_of(TAXED), "2026-01-31")
    again = folded(story, with_booked(setting_of(TAXED), first.invoices), "2026-01-31")
    assert again.state.invoices == first.state.invoices
    back = [str(it.amount.major) for it in first.state.invoices[0].given_back]
    assert back == ["28.06", "5.89"]


# Late usage. April ends with 12,000 calls known; what is late comes on May 3 or later.
APRIL = use("2026-04-20", "12000")
LATE: dict[str, tuple[dict[str, Any], list[Used], list[str]]] = {
    "more": (
        {},
        [use("2026-04-25", "3000", landed_on="2026-05-03")],
        [
            "2026-06-01 recurring: plan_base 29.00; adjustment api_calls 60.00 = 89.00",
            "2026-07-01 recurring: plan_base 29.00 = 29.00",
        ],
    ),
    "less": (
        {},
        [use("2026-04-25", "-1000", landed_on="2026-05-03")],
        [
            "2026-06-01 recurring: plan_base 29.00; adjustment api_calls -20.00 = 9.00",
            "2026-07-01 recurring: plan_base 29.00 = 29.00",
        ],
    ),
    "less than the invoice can bear": (
        {},
        [use("2026-04-25", "-2000", landed_on="2026-05-03")],
        [
            "2026-06-01 recurring: plan_base 29.00; adjustment api_calls -29.00 = 0.00",
            "2026-07-01 recurring: plan_base 29.00; credit adjustment -11.00 = 18.00",
        ],
    ),
    "within the included after all": (
        {},
        [use("2026-04-25", "-9000", landed_on="2026-05-03")],
        [
            "2026-06-01 recurring: plan_base 29.00; adjustment api_calls -29.00 = 0.00",
            "2026-07-01 recurring: plan_base 29.00; credit adjustment -11.00 = 18.00",
        ],
    ),
    "that changes nothing": (
        {},
        [use("2026-04-25", "0.1", landed_on="2026-05-03")],
        [
            "2026-06-01 recurring: plan_base 29.00 = 29.00",
            "2026-07-01 recurring: plan_base 29.00 = 29.00",
        ],
    ),
    "on the last day of the grace": (
        {},
        [use("2026-04-25", "3000", landed_on="2026-05-01")],
        [
            "2026-06-01 recurring: plan_base 29.00 = 29.00",
            "2026-07-01 recurring: plan_base 29.00 = 29.00",
        ],
    ),
    "the day after the grace": (
        {},
        [use("2026-04-25", "3000", landed_on="2026-05-02")],
        [
            "2026-06-01 recurring: plan_base 29.00; adjustment api_calls 60.00 = 89.00",
            "2026-07-01 recurring: plan_base 29.00 = 29.00",
        ],
    ),
    "on the last day of the next invoice": (
        {},
        [use("2026-04-25", "3000", landed_on="2026-06-01")],
        [
            "2026-06-01 recurring: plan_base 29.00; adjustment api_calls 60.00 = 89.00",
            "2026-07-01 recurring: plan_base 29.00 = 29.00",
        ],
    ),
    "older than a window": (
        {},
        [use("2026-04-25", "3000", landed_on="2026-06-02")],
        [
            "2026-06-01 recurring: plan_base 29.00 = 29.00",
            "2026-07-01 recurring: plan_base 29.00 = 29.00",
        ],
    ),
    "older, where two windows are taken": (
        {"late_usage_windows": "2"},
        [use("2026-04-25", "3000", landed_on="2026-06-02")],
        [
            "2026-06-01 recurring: plan_base 29.00 = 29.00",
            "2026-07-01 recurring: plan_base 29.00; adjustment api_calls 60.00 = 89.00",
        ],
    ),
    "where no window is taken": (
        {"late_usage_windows": "0"},
        [use("2026-04-25", "3000", landed_on="2026-05-03")],
        [
            "2026-06-01 recurring: plan_base 29.00 = 29.00",
            "2026-07-01 recurring: plan_base 29.00 = 29.00",
        ],
    ),
    "in two parts": (
        {},
        [
            use("2026-04-25", "3000", landed_on="2026-05-03"),
            use("2026-04-26", "50", landed_on="2026-05-20"),
        ],
        [
            "2026-06-01 recurring: plan_base 29.00; adjustment api_calls 61.00 = 90.00",
            "2026-07-01 recurring: plan_base 29.00 = 29.00",
        ],
    ),
    "waived": (
        {"late_usage": "waive"},
        [use("2026-04-25", "3000", landed_on="2026-05-03")],
        [
            "2026-06-01 recurring: plan_base 29.00 = 29.00",
            "2026-07-01 recurring: plan_base 29.00 = 29.00",
        ],
    ),
    "less is credited though more is waived": (
        {"late_usage": "waive"},
        [use("2026-04-25", "-1000", landed_on="2026-05-03")],
        [
            "2026-06-01 recurring: plan_base 29.00; adjustment api_calls -20.00 = 9.00",
            "2026-07-01 recurring: plan_base 29.00 = 29.00",
        ],
    ),
    "less is credited where no window is": (
        {"late_usage_windows": "0"},
        [use("2026-04-25", "-1000", landed_on="2026-05-03")],
        [
            "2026-06-01 recurring: plan_base 29.00; adjustment api_calls -20.00 = 9.00",
            "2026-07-01 recurring: plan_base 29.00 = 29.00",
        ],
    ),
}


@pytest.mark.parametrize(("policies", "late", "expected"), LATE.values(), ids=LATE)
def test_late_usage(policies: dict[str, Any], late: list[Used], expected: list[str]) -> None:
    setting = setting_of(ladder(policies=policies), uses=[APRIL, *late])
    told = posted(START, setting, "2026-07-02")
    assert invoices(told)[2:] == expected


MORE_LATE = use("2026-04-25", "3000", landed_on="2026-05-03")
TAKEN_BACK: dict[str, tuple[dict[str, Any], list[Used], list[str]]] = {
    # case: (policies, what lands after the 3,000 calls of June 1's adjustment, from June on)
    "all of it": (
        {},
        [use("2026-04-25", "-3000", landed_on="2026-06-10")],
        ["adjustment api_calls 60.00", "adjustment api_calls -29.00", "credit adjustment -29.00"],
    ),
    "all of it, and more": (
        {},
        [use("2026-04-25", "-3500", landed_on="2026-06-10")],
        ["adjustment api_calls 60.00", "adjustment api_calls -29.00", "credit adjustment -29.00"],
    ),
    "a part": (
        {},
        [use("2026-04-25", "-1000", landed_on="2026-06-10")],
        ["adjustment api_calls 60.00", "adjustment api_calls -20.00", ""],
    ),
    "out of reach": (
        {},
        [use("2026-04-25", "-3000", landed_on="2026-07-10")],
        ["adjustment api_calls 60.00", "", ""],
    ),
    "taken back, and landed again": (
        {"late_usage_windows": "4"},
        [
            use("2026-04-25", "-1000", landed_on="2026-06-10"),
            use("2026-04-25", "1000", landed_on="2026-07-10"),
        ],
        ["adjustment api_calls 60.00", "adjustment api_calls -20.00", "adjustment api_calls 20.00"],
    ),
    "taken back whole, and landed again": (
        {"late_usage_windows": "4"},
        [
            use("2026-04-25", "-3000", landed_on="2026-06-10"),
            use("2026-04-25", "3000", landed_on="2026-07-10"),
        ],
        ["adjustment api_calls 60.00", "adjustment api_calls -29.00", "adjustment api_calls 29.00"],
    ),
}


@pytest.mark.parametrize(("policies", "later", "lines"), TAKEN_BACK.values(), ids=TAKEN_BACK)
def test_an_adjustment_whose_cause_goes_is_taken_back(
    policies: dict[str, Any], later: list[Used], lines: list[str]
) -> None:
    """Rule USE-7: what is booked is subtracted from what is owed now, adjustments too."""
    setting = setting_of(ladder(policies=policies), uses=[APRIL, MORE_LATE, *later])
    told = posted(START, setting, "2026-08-02")
    shown_lines = [text.partition(" = ")[0].partition("29.00")[2] for text in invoices(told)[2:]]
    assert [text.removeprefix("; ") for text in shown_lines] == lines


def test_what_is_waived_does_not_undo_what_was_credited() -> None:
    """Less use is credited, and the same use landing again is late use: waived. Rule USE-7."""
    uses = [
        APRIL,
        use("2026-04-25", "-1000", landed_on="2026-05-03"),
        use("2026-04-25", "1000", landed_on="2026-06-10"),
    ]
    for policies in ({"late_usage": "waive"}, {"late_usage_windows": "0"}):
        told = posted(START, setting_of(ladder(policies=policies), uses=uses), "2026-08-02")
        assert [str(invoice.total.major) for invoice in told.invoices[2:]] == [
            "9.00", "29.00", "29.00"
        ]  # fmt: skip


def test_late_seats_that_come_to_nothing_are_taken_back() -> None:
    """7 - 2 + 2 seats: of June's 75.00 nothing is left, nor of 50.00 of its advance."""
    more = act("2026-04-16", "add_seats", "2026-05-05", feature="editors", quantity="2", id="x")
    less = act("2026-04-15", "remove_seats", "2026-06-05", feature="editors", quantity="2", id="y")
    told = posted([*SEATS, less, more], setting_of(), "2026-08-02")
    assert [str(invoice.total.major) for invoice in told.invoices[2:]] == [
        "204.00", "0.00", "33.00"
    ]  # fmt: skip


def test_an_adjustment_names_the_invoice_and_the_window() -> None:
    late = use("2026-04-25", "3000", landed_on="2026-05-03")
    told = posted(START, setting_of(uses=[APRIL, late]), "2026-06-01")
    (line,) = [line for line in told.invoices[2].lines if line.type is LineType.ADJUSTMENT]
    assert (line.corrects, line.code, line.name) == (told.invoices[1].id, "api_calls", "API calls")
    assert (line.service.start, line.service.end) == (day("2026-04-01"), day("2026-05-01"))


# A yearly plan has no invoice in most months. January ends with 10,000 calls.
JANUARY = use("2026-01-20", "10000")
FEBRUARY = use("2026-02-20", "10050")
MONTHS: dict[str, tuple[dict[str, Any], list[Used], list[str]]] = {
    "nothing late": (
        {},
        [JANUARY, FEBRUARY],
        ["2026-03-01 overage: feature_overage api_calls 1.00 = 1.00"],
    ),
    "where nothing was owed, and no later invoice is posted": (
        {},
        [JANUARY, use("2026-01-21", "50", landed_on="2026-02-10")],
        ["2026-02-01 overage: feature_overage api_calls 1.00 = 1.00"],
    ),
    "where nothing was owed, twice": (
        {},
        [
            JANUARY,
            use("2026-01-21", "50", landed_on="2026-02-10"),
            use("2026-01-22", "100", landed_on="2026-02-12"),
        ],
        [
            "2026-02-01 overage: feature_overage api_calls 1.00 = 1.00",
            "2026-03-01 adjustment: adjustment api_calls 2.00 = 2.00",
        ],
    ),
    "after a later one is posted, out of reach": (
        {},
        [JANUARY, FEBRUARY, use("2026-01-21", "50", landed_on="2026-03-10")],
        ["2026-03-01 overage: feature_overage api_calls 1.00 = 1.00"],
    ),
    "on an invoice of its own": (
        {},
        [FEBRUARY, use("2026-02-21", "50", landed_on="2026-03-10")],
        [
            "2026-03-01 overage: feature_overage api_calls 1.00 = 1.00",
            "2026-04-01 adjustment: adjustment api_calls 1.00 = 1.00",
        ],
    ),
    "on a credit note": (
        {},
        [FEBRUARY, use("2026-02-21", "-20", landed_on="2026-03-10")],
        [
            "2026-03-01 overage: feature_overage api_calls 1.00 = 1.00",
            "2026-04-01 credit_note: adjustment api_calls -0.40 = -0.40",
        ],
    ),
    "with the overage of the next month": (
        {},
        [FEBRUARY, use("2026-02-21", "50", landed_on="2026-03-10"), use("2026-03-20", "10200")],
        [
            "2026-03-01 overage: feature_overage api_calls 1.00 = 1.00",
            "2026-04-01 overage: feature_overage api_calls 4.00; adjustment api_calls 1.00 = 5.00",
        ],
    ),
    "waived, where nothing was invoiced": (
        {"late_usage": "waive"},
        [JANUARY, FEBRUARY, use("2026-01-21", "50", landed_on="2026-03-10")],
        ["2026-03-01 overage: feature_overage api_calls 1.00 = 1.00"],
    ),
    "two windows back, where nothing was invoiced": (
        {"late_usage_windows": "2"},
        [JANUARY, FEBRUARY, use("2026-01-21", "50", landed_on="2026-03-10")],
        [
            "2026-03-01 overage: feature_overage api_calls 1.00 = 1.00",
            "2026-04-01 adjustment: adjustment api_calls 1.00 = 1.00",
        ],
    ),
    "two back, but waived": (
        {"late_usage": "waive", "late_usage_windows": "2"},
        [JANUARY, FEBRUARY, use("2026-01-21", "50", landed_on="2026-03-10")],
        ["2026-03-01 overage: feature_overage api_calls 1.00 = 1.00"],
    ),
}


@pytest.mark.parametrize(("policies", "uses", "expected"), MONTHS.values(), ids=MONTHS)
def test_late_usage_in_a_year(
    policies: dict[str, Any], uses: list[Used], expected: list[str]
) -> None:
    told = posted(YEARLY, setting_of(ladder(policies=policies), uses=uses), "2026-05-02")
    assert invoices(told)[1:] == expected


def test_an_adjustment_invoice_and_a_credit_note_stay_once_posted() -> None:
    for late in ("50", "-20"):
        uses = [FEBRUARY, use("2026-02-21", late, landed_on="2026-03-10")]
        told = posted(YEARLY, setting_of(uses=uses), "2026-05-02")
        setting = replace(setting_of(uses=uses), known_on=day("2026-05-02"))
        again = folded(YEARLY, with_booked(setting, told.invoices), "2026-12-31")
        assert invoices(again) == invoices(told)


# fmt: off
CHANGED_AGAIN = {
    # case                            first late     then late                 what is owed in all
    "overage behind an adjustment":  (("2026-01-11", "500"),  ("2026-02-11", "11000"), "340.00"),
    "overage behind a credit note":  (("2026-01-11", "-500"), ("2026-02-11", "11000"), "320.00"),
    "more is taken back":            (("2026-01-11", "-500"), ("2026-01-10", "-200"),  "296.00"),
    "some of it comes back":         (("2026-01-11", "-500"), ("2026-01-10", "200"),   "304.00"),
    "more than all of it comes back":(("2026-01-11", "-500"), ("2026-01-10", "800"),   "316.00"),
}
# fmt: on


@pytest.mark.parametrize(("first", "then", "owed"), CHANGED_AGAIN.values(), ids=CHANGED_AGAIN)
def test_a_month_that_changes_again_is_owed_once(
    first: tuple[str, str], then: tuple[str, str], owed: str
) -> None:
    """A year's months, drafted and posted month by month; each story's usage is late twice."""
    uses = [use("2026-01-10", "11000")]
    booked: dict[str, Invoice] = {}
    late = {"2026-03-02": (*first, "2026-02-20"), "2026-04-02": (*then, "2026-03-20")}
    for through in ("2026-02-02", "2026-03-02", "2026-04-02", "2026-05-02", "2026-06-02"):
        if through in late:
            on, value, landed_on = late[through]
            uses.append(use(on, value, landed_on=landed_on))
        setting = setting_of(
            ladder(policies={"late_usage_windows": "3"}),
            uses=uses,
            known_on=day(through),
            takes_later_usage=True,
        )
        told = folded(YEARLY, with_booked(setting, booked.values()), through)
        booked |= {invoice.id: invoice for invoice in told.invoices if invoice.id not in booked}
    assert str(sum(invoice.total.major for invoice in booked.values())) == owed


def test_a_posted_note_whose_cause_has_gone_stops_nobody() -> None:
    uses = [FEBRUARY, use("2026-02-21", "-20", landed_on="2026-03-10")]
    told = posted(YEARLY, setting_of(uses=uses), "2026-05-02")
    uses.append(use("2026-02-21", "20", landed_on="2026-04-10"))
    setting = replace(setting_of(uses=uses), known_on=day("2026-05-02"))
    again = folded(YEARLY, with_booked(setting, told.invoices), "2026-05-02")
    assert invoices(again) == invoices(told)


def test_a_posted_invoice_that_the_history_no_longer_makes_is_a_fault() -> None:
    told = folded(YEARLY, setting_of(), "2026-02-02")
    (first,) = told.invoices
    stranger = replace(first, id="acme/overage/s9/2026-02-01")
    found = bill(
        "acme", YEARLY, with_booked(setting_of(), [first, stranger]), until=instant("2026-03-01")
    )
    assert found.folded is None
    assert found.fault is not None
    assert found.fault.code == "FOLD-01"
    assert "acme/overage/s9/2026-02-01" in found.fault.what


class Broken(Metered):
    """Usage that fails with an error whenever a window's is asked for."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def get(self, *_asked: Any) -> Any:
        raise self.error


@pytest.mark.parametrize(
    "error",
    [ValueError("no"), KeyError("no"), ZeroDivisionError("no"), AssertionError("no"), TypeError()],
    ids=lambda error: type(error).__name__,
)
def test_whatever_goes_wrong_with_one_customer_is_his_fault_alone(error: Exception) -> None:
    setting = replace(setting_of(), usage=Broken(error))
    until = instant("2026-05-02")
    found = bill("acme", START, setting, until=until)
    assert (found.folded, found.windows) == (None, ())
    assert found.fault is not None
    assert (found.fault.customer_id, found.fault.code) == ("acme", "FOLD-02")
    assert found.fault.what == f"billing stopped on {type(error).__name__}: {error}"
    assert re.fullmatch(
        r"customer 'acme', in .*cycle\.take_boundary:\d+ > cycle\.close_window:\d+ > "
        r"cycle\._closed:\d+ > "
        r"test_bill\.get:\d+",
        found.fault.where,
    )
    assert "report this text" in found.fault.mend
    assert bill("acme", START, setting_of(), until=until).folded is not None


@pytest.mark.parametrize("error", [MemoryError(), KeyboardInterrupt()])
def test_what_is_no_customers_fault_stops_the_run(error: BaseException) -> None:
    setting = replace(setting_of(), usage=Broken(error))
    with pytest.raises(type(error)):
        bill("acme", START, setting, until=instant("2026-05-02"))


AT_THE_END = act("2026-04-20", "cancel", when="period_end")
MORE_50 = use("2026-04-25", "50", landed_on="2026-05-10")
LESS_50 = use("2026-04-26", "-50", landed_on="2026-06-20")
AFTER_THE_END: dict[str, tuple[list[Any], list[Used], list[str]]] = {
    # case: (what is done after April's end, what lands late, invoices after the final one)
    "more": ([], [MORE_50], ["2026-05-10 adjustment: adjustment api_calls 1.00 = 1.00"]),
    "less": (
        [],
        [use("2026-04-25", "-50", landed_on="2026-05-10")],
        ["2026-05-10 credit_note: adjustment api_calls -1.00 = -1.00"],
    ),
    "twice": (
        [],
        [MORE_50, use("2026-04-26", "100", landed_on="2026-05-20")],
        [
            "2026-05-10 adjustment: adjustment api_calls 1.00 = 1.00",
            "2026-05-20 adjustment: adjustment api_calls 2.00 = 2.00",
        ],
    ),
    "more, and taken back": (
        [],
        [MORE_50, replace(LESS_50, landed_on=day("2026-05-20"))],
        [
            "2026-05-10 adjustment: adjustment api_calls 1.00 = 1.00",
            "2026-05-20 credit_note: adjustment api_calls -1.00 = -1.00",
        ],
    ),
    "more, older than a window": ([], [replace(MORE_50, landed_on=day("2026-06-02"))], []),
    "on the day of the next subscription": (
        [subscribed("2026-05-10 10:00", id="s2")],
        [MORE_50],
        [
            "2026-05-10 adjustment: adjustment api_calls 1.00 = 1.00",
            "2026-05-10 initial: plan_base 29.00 = 29.00",
            "2026-06-10 recurring: plan_base 29.00 = 29.00",
        ],
    ),
    "after the next subscription began": (
        [subscribed("2026-05-09", id="s2")],
        [MORE_50],
        [
            "2026-05-09 initial: plan_base 29.00 = 29.00",
            "2026-06-09 recurring: plan_base 29.00; adjustment api_calls 1.00 = 30.00",
        ],
    ),
    "seats": (
        [act("2026-04-16", "add_seats", "2026-05-10", feature="editors", quantity="7")],
        [],
        ["2026-05-10 adjustment: adjustment editors 25.00 = 25.00"],
    ),
}


@pytest.mark.parametrize(("steps", "late", "expected"), AFTER_THE_END.values(), ids=AFTER_THE_END)
def test_what_is_corrected_after_the_end_is_dated_on_that_day(
    steps: list[Any], late: list[Used], expected: list[str]
) -> None:
    """Rule INV-12: an adjustment invoice or a credit note, as there is no next invoice."""
    uses = [APRIL, *late]
    starts = [created(), subscribed("2026-04-01", seats={"editors": "0"}), AT_THE_END]
    if steps and "add_seats" in steps[0].id:
        starts[1] = subscribed("2026-04-01", seats={"editors": "3"})
        steps = [steps[0].model_copy(update={"quantity": 4})]
    told = posted([*starts, *steps], setting_of(uses=uses), "2026-06-30")
    assert invoices(told)[2:] == expected
    assert told.state.adjustments == () or not expected
    days = [f"2026-{month:02}-{on:02}" for month in (4, 5, 6) for on in (1, 2, 9, 10, 20, 29)]
    run, _ = posted_in_turn([*starts, *steps], *days, uses=uses)
    assert invoices(run)[2:] == expected


def test_what_is_given_back_after_the_end_pays_the_next_subscription() -> None:
    late = use("2026-04-25", "-50", landed_on="2026-05-10")
    story = [*START, AT_THE_END, subscribed("2026-05-20", id="s2")]
    told = posted(story, setting_of(uses=[APRIL, late]), "2026-05-30")
    assert [str(item.unpaid.major) for item in told.state.invoices] == ["0.00", "0.00", "0.00"]
    assert sum(item.paid.minor for item in told.state.invoices) == 2900 + 3900 + 2900


def test_what_is_due_when_nobody_pays_is_invoiced_at_once() -> None:
    """Late usage of April waits for June's invoice, but May ends unpaid. Rules PAY-1, INV-12."""
    failures = [
        paid(f"2026-05-20 {hour}:00", ("recurring", "2026-05-01"), result="failed", id=f"f{hour}")
        for hour in ("09", "17", "18")
    ]
    story = [*START, PAID_START, *failures]
    uses = [APRIL, MORE_50]
    told = posted(story, setting_of(uses=uses, assumes_payment=False), "2026-06-30")
    assert invoices(told)[2:] == ["2026-05-20 adjustment: adjustment api_calls 1.00 = 1.00"]


CHECKED_OUT: dict[str, tuple[list[Any], list[str]]] = {
    "expired": ([], ["2026-05-16 adjustment: adjustment api_calls 1.00 = 1.00"]),
    "paid after it was known": (
        [paid("2026-05-12", ("initial", "2026-05-09"))],
        ["2026-05-12 initial: plan_base 29.00; adjustment api_calls 1.00 = 30.00"],
    ),
}


@pytest.mark.parametrize(("steps", "expected"), CHECKED_OUT.values(), ids=CHECKED_OUT)
def test_a_checkout_takes_what_is_due_until_it_expires(
    steps: list[Any], expected: list[str]
) -> None:
    late = [MORE_50, use("2026-04-27", "0.1", landed_on="2026-05-20")]
    story = [*START, PAID_START, AT_THE_END, subscribed("2026-05-09", id="s2"), *steps]
    setting = setting_of(uses=[APRIL, *late], assumes_payment=False)
    assert invoices(posted(story, setting, "2026-05-31"))[2:] == expected


def test_what_an_end_has_only_to_take_back_is_a_credit_note() -> None:
    """What is taken back of April has no charge of May's end beside it. INV-10, INV-12."""
    stop = act("2026-05-10", "cancel", when="period_end")
    late = use("2026-04-25", "-1000", landed_on="2026-05-20")
    told = posted([*START, stop], setting_of(uses=[APRIL, late]), "2026-06-30")
    assert invoices(told)[2:] == ["2026-06-01 credit_note: adjustment api_calls -20.00 = -20.00"]
    assert [item.type for item in told.state.invoices] == ["initial", "recurring"]
    assert credits_left(told) == []


# Late actions. April's invoices are posted; the action is of April 16 and arrives on May 5.
LATE_SEATS = act("2026-04-16", "add_seats", "2026-05-05", feature="editors", quantity="2", id="x")
LATE_ACTIONS: dict[str, tuple[dict[str, Any], Any, str, list[str]]] = {
    "seats": (
        {},
        LATE_SEATS,
        "applied",
        ["plan_base 29.00", "feature_seats/advance editors 100.00", "adjustment editors 75.00"],
    ),
    "fewer seats": (
        {},
        act("2026-04-16", "remove_seats", "2026-05-05", feature="editors", quantity="1", id="x"),
        "applied",
        ["plan_base 29.00", "feature_seats/advance editors 25.00", "adjustment editors -25.00"],
    ),
    "seats, all refused": (
        {"late_actions": "refuse"},
        LATE_SEATS,
        "refused late_action",
        ["plan_base 29.00", "feature_seats/advance editors 50.00"],
    ),
    "cancelled now": (
        {},
        act("2026-04-16", "cancel", "2026-05-05", when="now", id="x"),
        "refused late_action",
        ["plan_base 29.00", "feature_seats/advance editors 50.00"],
    ),
    "cancelled at period end": (
        {},
        act("2026-04-16", "cancel", "2026-05-05", when="period_end", id="x"),
        "refused late_action",
        ["plan_base 29.00", "feature_seats/advance editors 50.00"],
    ),
    "another plan": (
        {},
        act("2026-04-16", "change_plan", "2026-05-05", plan="free", id="x"),
        "refused late_action",
        ["plan_base 29.00", "feature_seats/advance editors 50.00"],
    ),
    "subscribed": (
        {},
        subscribed("2026-04-16", id="x", received_at="2026-05-05"),
        "refused late_action",
        ["plan_base 29.00", "feature_seats/advance editors 50.00"],
    ),
    "nothing was undone": (
        {},
        act("2026-04-16", "undo_cancel", "2026-05-05", id="x"),
        "refused not_cancelling",
        ["plan_base 29.00", "feature_seats/advance editors 50.00"],
    ),
    "in time to the day": (
        {},
        act("2026-04-16", "cancel", "2026-05-01", when="period_end", id="x"),
        "scheduled 2026-05-01",
        [],
    ),
}


@pytest.mark.parametrize(
    ("policies", "action", "outcome", "lines"), LATE_ACTIONS.values(), ids=LATE_ACTIONS
)
def test_late_actions(
    policies: dict[str, Any], action: Any, outcome: str, lines: list[str]
) -> None:
    setting = setting_of(ladder(policies=policies))
    told = posted([*SEATS, action], setting, "2026-06-02")
    assert outcomes(told)["x"] == outcome
    expected = f"2026-06-01 recurring: {'; '.join(lines)} = "
    assert not lines or invoices(told)[2].startswith(expected)
    assert bool(lines) == (len(told.invoices) == 3)


def in_a_run(
    actions: list[Any], through: str, booked: Sequence[Invoice] = (), **given: Any
) -> Folded:
    """A run's drafts: the history to the end of a day, with all that has landed by it."""
    known = [action for action in actions if action.received_at.date() <= day(through)]
    catalog = ladder(policies=given.pop("policies", {}))
    setting = setting_of(catalog, **{"known_on": day(through), "takes_later_usage": True, **given})
    return folded(known, with_booked(setting, booked), through)


def test_what_a_draft_knew_of_is_not_late_once_it_is_posted() -> None:
    """All landed on May 5: the cancellation is older than the invoice, and made it possible."""
    story = [
        created(),
        subscribed("2026-04-01", plan="free", id="s0"),
        act("2026-04-10", "cancel", "2026-05-05", when="now", id="stop"),
        subscribed("2026-04-12", received_at="2026-05-05"),
    ]
    first = in_a_run(story, "2026-05-05")
    assert first.invoices[0].known_on == day("2026-05-05")
    again = in_a_run(story, "2026-05-06", first.invoices)
    assert invoices(again) == invoices(first)
    assert outcomes(again)["stop"] == "applied"


def test_what_a_posted_invoice_did_not_know_of_is_late_within_the_grace_too() -> None:
    """Posted on the day that it was paid at noon; the next day something older arrives."""
    story = [
        created(),
        subscribed("2026-04-01", id="s0"),
        subscribed("2026-04-12 11:00"),
        paid("2026-04-12 12:00", ("initial", "2026-04-12")),
        subscribed("2026-04-11", plan="free", id="other", received_at="2026-04-13"),
    ]
    first = in_a_run(story, "2026-04-12", assumes_payment=False)
    assert [invoice.known_on for invoice in first.invoices] == [day("2026-04-12")]
    again = in_a_run(story, "2026-04-13", first.invoices, assumes_payment=False)
    assert invoices(again) == invoices(first)
    assert outcomes(again)["other"] == "refused late_action"


def test_a_credit_note_waits_for_what_its_final_invoice_waits_for() -> None:
    story = [created(), subscribed("2026-04-01"), paid("2026-04-01", ("initial", "2026-04-01"))]
    story.append(act("2026-05-16 12:00", "cancel", when="now"))
    told = in_a_run(story, "2026-05-16", assumes_payment=False)
    assert [(invoice.type, invoice.known_on) for invoice in told.invoices[1:]] == [
        ("recurring", day("2026-05-16")),
        ("credit_note", day("2026-05-17")),
    ]


def posted_in_turn(
    actions: list[Any], *throughs: str, uses: Sequence[Used] = (), **given: Any
) -> tuple[Folded, dict[str, Invoice]]:
    """Runs through some days, each posted whole; the last one's drafts, and all that was posted."""
    booked: dict[str, Invoice] = {}
    for through in throughs:
        landed = [item for item in uses if item.landed_on <= day(through)]
        told = in_a_run(actions, through, tuple(booked.values()), uses=landed, **given)
        check_identities(told)
        kept = [invoice for invoice in told.invoices if invoice.id in booked]
        assert kept == list(booked.values())
        booked |= {it.id: it for it in told.invoices if it.known_on <= day(through)}
    return told, booked


def in_all(told: Folded, booked: dict[str, Invoice]) -> str:
    """What a customer owes in all: posted totals, less customer credits, and what is due."""
    due = [item.amount for item in told.state.adjustments]
    credits_held = [-credit.left for credit in told.state.credits]
    return str(sum(it.major for it in [*(it.total for it in booked.values()), *due, *credits_held]))


# Seats of April 11 that land after the invoices of a cancellation on April 16 are posted.
STOP = act("2026-04-16 12:00", "cancel", when="now", id="stop")
MORE = {"feature": "editors", "quantity": "7", "id": "more"}
FEWER = {"feature": "editors", "quantity": "1", "id": "fewer"}
AFTER_A_CANCELLATION: dict[str, tuple[list[Any], list[Used], dict[str, Any]]] = {
    # unpaid: a credit note beside the final invoice, or alone
    "unpaid, with overage": ([], [use("2026-04-10", "12000")], {"assumes_payment": False}),
    "unpaid, without": ([], [], {"assumes_payment": False}),
    # paid: a customer credit that the final invoice draws, in part or whole
    "paid, with more overage than credit": ([], [use("2026-04-10", "14000")], {}),
    "paid, with less": ([], [use("2026-04-10", "10100")], {}),
    "paid, without": ([], [], {}),
}


@pytest.mark.parametrize("late", [("add_seats", MORE), ("remove_seats", FEWER)], ids=["7", "-1"])
@pytest.mark.parametrize(
    ("steps", "uses", "given_"), AFTER_A_CANCELLATION.values(), ids=AFTER_A_CANCELLATION
)
def test_late_seats_behind_a_cancellation_come_to_the_same_total(
    steps: list[Any], uses: list[Used], given_: dict[str, Any], late: tuple[str, dict[str, Any]]
) -> None:
    """Rules ACT-3, SUB-9: a posted credit note too is compared with what it would be now."""
    start = [created(), subscribed("2026-04-01", seats={"editors": "7"})]
    opened = [] if given_ else [PAID_START]
    if given_:
        start = [created(), subscribed("2026-03-01", seats={"editors": "7"})]
        opened = [paid("2026-03-01", ("initial", "2026-03-01"))]
    do, fields = late
    totals = []
    for received_at in ("2026-04-11", "2026-04-25"):
        seats = act("2026-04-11", do, received_at, **fields)
        told, booked = posted_in_turn(
            [*start, *opened, *steps, STOP, seats],
            "2026-04-02", "2026-04-20", "2026-04-26", "2026-04-27", uses=uses, **given_,
        )  # fmt: skip
        assert outcomes(told)[fields["id"]] == "applied"
        totals.append(in_all(told, booked))
    assert totals[0] == totals[1]


def test_a_late_seat_before_an_unpaid_invoice_is_credited_with_it() -> None:
    """Its advance is an adjustment that is unpaid too, so its unused days reduce it. SUB-9."""
    story = [created(), subscribed("2026-03-01"), paid("2026-03-01", ("initial", "2026-03-01"))]
    totals = []
    for received_at in ("2026-03-31", "2026-04-25"):
        more = act("2026-03-31", "add_seats", received_at, feature="editors", quantity="9")
        told, booked = posted_in_turn(
            [*story, more, STOP], "2026-04-02", "2026-04-20", "2026-04-26", assumes_payment=False
        )
        totals.append(in_all(told, booked))
    assert totals[0] == totals[1]


def test_a_credit_that_was_drawn_and_should_not_have_been_is_due_again() -> None:
    """Two seats less from before April: 25.00 of the credit that paid the next start is gone."""
    story = [created(), subscribed("2026-03-01", seats={"editors": "7"}), STOP]
    totals = []
    for received_at in ("2026-03-31", "2026-04-25"):
        less = act("2026-03-31", "remove_seats", received_at, feature="editors", quantity="2")
        told, booked = posted_in_turn(
            [*story, less, subscribed("2026-04-18", id="s2")],
            "2026-03-02", "2026-04-20", "2026-04-26", "2026-05-19", "2026-05-20",
        )  # fmt: skip
        totals.append(in_all(told, booked))
    assert totals == ["151.50", "151.50"]
    assert "adjustment -14.50" not in invoices(told)[-1]


@pytest.mark.parametrize("landed_on", ["2026-05-10", "2026-05-25"], ids=["before", "after"])
def test_an_unpaid_invoice_that_a_correction_pays_takes_no_note(landed_on: str) -> None:
    """429.00 of which 400.00 are paid, and then 400.00 are taken back: 14.97 are a credit."""
    late = use("2026-04-21", "-20000", landed_on=landed_on)
    story = [
        *START,
        PAID_START,
        paid("2026-05-02", ("recurring", "2026-05-01"), amount="400.00"),
        act("2026-05-16", "cancel", when="now"),
    ]
    told, booked = posted_in_turn(
        story, "2026-04-02", "2026-05-09", "2026-05-12", "2026-05-18", "2026-05-26", "2026-05-27",
        uses=[use("2026-04-20", "30000"), late], assumes_payment=False,
    )  # fmt: skip
    assert in_all(told, booked) == "43.03"  # 29.00 + 29.00 - 14.97


AGAIN = subscribed("2026-05-10", id="s2")
BEHIND_ANOTHER: dict[str, Any] = {
    "cancelled now": STOP,
    "cancelled at the end": act("2026-04-16", "cancel", when="period_end"),
}


@pytest.mark.parametrize("stop", BEHIND_ANOTHER.values(), ids=BEHIND_ANOTHER)
def test_an_end_without_invoice_gets_none_behind_a_later_one(stop: Any) -> None:
    """Usage that lands once the next subscription's invoice is posted is its adjustment. PST-6."""
    uses = [use("2026-04-10", "10050", landed_on="2026-05-20")]
    story = [*START, stop, AGAIN]
    told, booked = posted_in_turn(story, "2026-04-02", "2026-05-12", "2026-06-11", uses=uses)
    assert [invoice.type for invoice in booked.values()] == ["initial", "initial", "recurring"]
    assert "adjustment api_calls 1.00" in invoices(told)[-1]
    on_time = [replace(item, landed_on=item.at.date()) for item in uses]
    assert in_all(told, booked) == in_all(
        *posted_in_turn(story, "2026-04-02", "2026-05-12", "2026-06-11", uses=on_time)
    )


@pytest.mark.parametrize(("policies", "uses", "expected"), MONTHS.values(), ids=MONTHS)
def test_runs_that_post_day_by_day_make_what_a_scenario_makes(
    policies: dict[str, Any], uses: list[Used], expected: list[str]
) -> None:
    """What lands for a month that nothing was owed for is no late usage. USE-7, USE-8."""
    told, _ = posted_in_turn(
        YEARLY,
        *("2026-01-01", "2026-02-01", "2026-02-09", "2026-02-10", "2026-02-12", "2026-03-01"),
        *("2026-03-09", "2026-03-10", "2026-04-01", "2026-05-02"),
        uses=uses,
        policies=policies,
    )
    assert invoices(told)[1:] == expected


def test_a_window_that_nobody_charged_yet_is_not_late() -> None:
    """Cancelled at noon of the day of the posted invoice: what it used is not waived. USE-7."""
    story = [*START, act("2026-04-01 12:00", "cancel", when="now")]
    uses = [use("2026-04-01 09:00", "12000")]
    setting = setting_of(ladder(policies={"late_usage": "waive"}), uses=uses)
    first = folded(START, setting, "2026-04-01").invoices
    told = folded(story, with_booked(setting, first), "2026-04-03")
    assert invoices(told)[1:] == [
        "2026-04-01 final: feature_overage api_calls 40.00; credit -29.00 = 11.00"
    ]


def test_a_refused_late_action_names_the_invoice_and_the_cure() -> None:
    told = posted([*SEATS, LATE_ACTIONS["cancelled now"][1]], setting_of(), "2026-06-02")
    assert told.outcomes[2].what == (
        "cancel at 2026-04-16 arrived on 2026-05-05, after invoice "
        "acme/recurring/s1/2026-05-01 was posted; send it with today's date, with a credit note "
        "on that invoice"
    )


def test_a_late_cancellation_of_a_year_moves_nothing_that_is_posted() -> None:
    stop = act("2026-01-16", "cancel", "2026-03-05", when="period_end", id="x")
    told = posted([*YEARLY, stop], setting_of(uses=[FEBRUARY]), "2027-02-01")
    assert outcomes(told)["x"] == "scheduled 2027-01-01"
    assert [invoice.type for invoice in told.invoices] == ["initial", "overage"]


def test_a_late_undo_before_its_day_moves_nothing_that_is_posted() -> None:
    story = [
        *YEARLY,
        act("2026-01-16", "cancel", when="period_end"),
        act("2026-02-16", "undo_cancel", "2026-03-05", id="undo"),
    ]
    told = posted(story, setting_of(uses=[FEBRUARY]), "2027-02-01")
    assert outcomes(told)["undo"] == "applied"
    assert told.invoices[-1].type is InvoiceType.RECURRING


def test_a_late_undo_of_an_end_that_is_posted_is_refused() -> None:
    story = [
        *START,
        act("2026-04-10", "cancel", when="period_end"),
        act("2026-04-16", "undo_cancel", "2026-05-05", id="undo"),
    ]
    told = posted(story, setting_of(uses=[APRIL]), "2026-06-02")
    assert outcomes(told)["undo"] == "refused late_action"
    assert told.invoices[-1].type is InvoiceType.FINAL


def test_a_late_cancellation_while_past_due_would_end_at_once_and_is_refused() -> None:
    """Rule SUB-6: past due cancels at once, which moves what is posted."""
    story = [
        *YEARLY,
        paid("2026-01-01", ("initial", "2026-01-01")),
        paid("2026-02-01", ("overage", "2026-02-01"), result="failed"),
        act("2026-02-10", "cancel", "2026-03-20", when="period_end", id="x"),
    ]
    uses = [use("2026-01-20", "10050"), FEBRUARY]
    told = posted(story, setting_of(uses=uses, assumes_payment=False), "2026-04-02")
    assert outcomes(told)["x"] == "refused late_action"


def test_a_late_cancellation_of_what_did_not_exist_is_refused_as_late() -> None:
    stop = act("2026-03-16", "cancel", "2026-05-05", when="period_end", id="x")
    told = posted([*START, stop], setting_of(), "2026-06-02")
    assert outcomes(told)["x"] == "refused late_action"


def test_a_late_seat_in_a_year_is_settled_on_its_billing_month() -> None:
    """Nothing of it is posted yet, so nothing is corrected."""
    add = act("2026-01-16", "add_seats", "2026-03-05", feature="editors", quantity="6", id="x")
    told = posted([*YEARLY, add], setting_of(uses=[FEBRUARY]), "2027-01-01")
    assert invoices(told)[-1] == (
        "2027-01-01 recurring: plan_base 290.00; feature_seats/advance editors 25.00; "
        "feature_seats/true_up editors 23.97 = 338.97"
    )


def test_days_on_which_actions_came_in_late() -> None:
    story = [LATE_SEATS, created(), act("2026-04-16", "cancel", "2026-04-16 23:59", when="now")]
    assert late_action_days(story) == (date(2026, 5, 5),)


def test_a_fault_before_a_late_day_is_the_answer() -> None:
    story = [*START, act("2026-04-03", "confirm_overage", feature="api_calls"), LATE_SEATS]
    answer = bill_posted_at_cutoff("acme", story, setting_of(), until=instant("2026-06-02"))
    assert answer.fault is not None
    assert answer.fault.code == "SCOPE-01"


def test_what_was_booked_is_known_by_id_and_through_its_last_day() -> None:
    told = folded(START, setting_of(), "2026-06-02")
    setting = with_booked(setting_of(), told.invoices)
    assert list(setting.booked) == [invoice.id for invoice in told.invoices]
    assert setting.booked_through_at == instant("2026-06-01")
    assert with_booked(setting, ()).booked_through_at == NEVER


def test_the_running_window_is_known_while_there_is_access() -> None:
    setting = setting_of(known_on=day("2026-04-20"))
    told = folded(START, setting, "2026-04-20")
    window = open_window(told.state, setting)
    assert window is not None
    start, end = instant("2026-04-01"), instant("2026-05-01")
    assert window.key == WindowKey("acme", start, end, day("2026-04-20"))
    assert window.terms.plan == "starter"


@pytest.mark.parametrize("story", [[created()], [*START, act("2026-04-02", "cancel", when="now")]])
def test_without_a_subscription_no_window_runs(story: list[Any]) -> None:
    told = folded(story, setting_of(), "2026-04-20")
    assert open_window(told.state, setting_of()) is None


def test_no_window_runs_without_access() -> None:
    told = folded(START, setting_of(), "2026-04-20")
    subscription = told.state.subscription
    assert subscription is not None
    paused = replace(told.state, subscription=replace(subscription, status="paused"))
    assert open_window(paused, setting_of()) is None


# Properties of whole histories.
MOMENTS = st.integers(1, 270).map(lambda n: instant("2026-01-01") + timedelta(hours=n * 31))
STEPS = st.one_of(
    st.builds(
        lambda do, quantity: (do, {"feature": "editors", "quantity": str(quantity)}),
        st.sampled_from(["add_seats", "remove_seats", "set_seats"]),
        st.integers(1, 9),
    ),
    st.just(("cancel", {"when": "period_end"})),
    st.just(("cancel", {"when": "now"})),
    st.just(("undo_cancel", {})),
    st.builds(
        lambda interval, seats: (
            "subscribe",
            {"plan": "starter", "interval": interval, "seats": {"editors": str(seats)}},
        ),
        st.sampled_from(["monthly", "monthly", "quarterly", "yearly"]),
        st.integers(0, 9),
    ),
)
USES = st.builds(
    lambda moment, quantity: use(f"{moment:%Y-%m-%d %H:%M}", str(quantity)),
    MOMENTS,
    st.integers(1, 30_000),
)
TAXED = ladder(
    seller={"name": "Example Labs B.V.", "country": "NL"},
    tax=[{"country": "NL", "rate_bp": "2100", "from": "2012-10-01"}],
)


@st.composite
def histories(draw: st.DrawFn) -> list[Any]:
    """A taxed customer who subscribes and then does this and that through most of a year."""
    steps = sorted(draw(st.lists(st.tuples(MOMENTS, STEPS), max_size=8)), key=lambda step: step[0])
    story = [created(is_taxed=True, country="NL"), subscribed("2026-01-01")]
    for number, (moment, (do, fields)) in enumerate(steps):
        story.append(act(f"{moment:%Y-%m-%d %H:%M}", do, id=f"a{number}", **fields))
    return story


def check_identities(told: Folded) -> None:
    """Rule INV-9, INV-7: each invoice adds up, is made once, and is not below 0."""
    assert len({invoice.id for invoice in told.invoices}) == len(told.invoices)
    for invoice in told.invoices:
        plain = [line.amount.minor for line in invoice.lines if line.type is not LineType.TAX]
        tax = [line.amount.minor for line in invoice.lines if line.type is LineType.TAX]
        assert invoice.subtotal.minor == sum(plain)
        assert invoice.total.minor == sum(plain) + sum(tax)
        assert (invoice.total.minor < 0) == (invoice.type is InvoiceType.CREDIT_NOTE)
        assert invoice.lines
        for used in invoice.usage:
            parts = used.from_included + used.billed + used.blocked + used.waived
            assert used.used == parts


@settings(max_examples=60, deadline=None)
@given(story=histories(), uses=st.lists(USES, max_size=6))
def test_every_invoice_of_every_history_adds_up(story: list[Any], uses: list[Used]) -> None:
    for assumes_payment in (True, False):
        setting = setting_of(TAXED, uses=uses, assumes_payment=assumes_payment)
        told = folded(story, setting, "2026-12-31")
        check_identities(told)
        assert folded(story, setting, "2026-12-31") == told


@settings(max_examples=60, deadline=None)
@given(story=histories(), uses=st.lists(USES, max_size=6))
def test_any_cadence_of_posting_gives_the_same_books(story: list[Any], uses: list[Used]) -> None:
    """Nothing late: posting month by month changes neither an invoice nor the state."""
    setting = setting_of(TAXED, uses=uses)
    posted_each_month = month_by_month(story, setting, "2026-12-31")
    assert same(posted_each_month) == same(folded(story, setting, "2026-12-31"))


LATE_USES = st.builds(
    lambda item, days: replace(item, landed_on=item.landed_on + timedelta(days=days)),
    USES,
    st.integers(0, 90),
)


@settings(max_examples=60, deadline=None)
@given(
    interval=st.sampled_from(["monthly", "quarterly", "yearly"]),
    uses=st.lists(LATE_USES, max_size=6),
)
def test_late_usage_is_billed_as_if_it_had_been_in_time(interval: str, uses: list[Used]) -> None:
    """Within a lookback that reaches all, totals without tax are the same in the end. USE-7."""
    story = [created(), subscribed("2026-01-01", interval=interval)]
    catalog = ladder(policies={"late_usage_windows": "24"})
    late = posted(story, setting_of(catalog, uses=uses), "2027-06-30")
    in_time = [replace(item, landed_on=item.at.date()) for item in uses]
    straight = folded(story, setting_of(catalog, uses=in_time), "2027-06-30")
    assert owed(late.invoices) == owed(straight.invoices)
    assert late.state.adjustments == ()
    check_identities(late)


RETRACTED = st.builds(
    lambda item, days, more: (
        replace(item, landed_on=item.landed_on + timedelta(days=days)),
        replace(
            item, quantity=-item.quantity, landed_on=item.landed_on + timedelta(days=days + more)
        ),
    ),
    USES,
    st.integers(0, 60),
    st.integers(1, 60),
)


@settings(max_examples=60, deadline=None)
@given(
    interval=st.sampled_from(["monthly", "quarterly", "yearly"]),
    uses=st.lists(LATE_USES, max_size=4),
    retracted=st.lists(RETRACTED, min_size=1, max_size=3),
)
def test_what_is_retracted_late_is_owed_nothing_in_the_end(
    interval: str, uses: list[Used], retracted: list[tuple[Used, Used]]
) -> None:
    story = [created(), subscribed("2026-01-01", interval=interval)]
    catalog = ladder(policies={"late_usage_windows": "24"})
    pairs = [item for pair in retracted for item in pair]
    late = posted(story, setting_of(catalog, uses=[*uses, *pairs]), "2027-06-30")
    in_time = [replace(item, landed_on=item.at.date()) for item in uses]
    straight = folded(story, setting_of(catalog, uses=in_time), "2027-06-30")
    assert owed(late.invoices) - sum(it.left.minor for it in late.state.credits) == owed(
        straight.invoices
    )
    assert late.state.adjustments == ()
    check_identities(late)


SEAT_STEPS = st.builds(
    lambda do, quantity: (do, {"feature": "editors", "quantity": str(quantity)}),
    st.sampled_from(["add_seats", "remove_seats", "set_seats"]),
    st.integers(1, 9),
)
ENDS = st.one_of(
    st.just(("cancel", {"when": "period_end"})),
    st.just(("cancel", {"when": "now"})),
    st.builds(
        lambda interval: ("subscribe", {"plan": "starter", "interval": interval}),
        st.sampled_from(["monthly", "quarterly", "yearly"]),
    ),
)


@st.composite
def late_histories(draw: st.DrawFn) -> list[tuple[Any, Any]]:
    """Each action as it came in time and as it came: of seats some are late by days."""
    steps = draw(
        st.lists(
            st.tuples(MOMENTS, st.one_of(SEAT_STEPS, ENDS), st.integers(0, 60)), max_size=7,
            unique_by=lambda step: step[0],
        )
    )  # fmt: skip
    first = subscribed("2026-01-01", seats={"editors": "6"})
    story = [(created(), created()), (first, first)]
    for number, (moment, (do, fields), days) in enumerate(sorted(steps, key=lambda it: it[0])):
        at, late = f"{moment:%Y-%m-%d %H:%M}", moment + timedelta(days=days)
        received = f"{late:%Y-%m-%d %H:%M}" if "seats" in do else at
        story.append(
            (
                act(at, do, id=f"a{number}", **fields),
                act(at, do, received, id=f"a{number}", **fields),
            )
        )
    return story


@settings(max_examples=60, deadline=None)
@given(
    story=late_histories(),
    uses=st.lists(LATE_USES, max_size=3),
    days=st.sets(st.integers(0, 330), max_size=6),
    assumes_payment=st.booleans(),
)
def test_what_comes_late_comes_to_the_same_in_the_end(
    story: list[tuple[Any, Any]], uses: list[Used], days: set[int], assumes_payment: bool
) -> None:
    """Runs on any days, each posted: in all the same is owed as if all had come in time.

    But where an unpaid invoice is cancelled now: it is reduced by what is unpaid of it at
    most (SUB-9), and what came late has changed how much that is.
    """
    ends_now = any(getattr(it, "when", None) == "now" for it, _ in story)
    assume(assumes_payment or not ends_now)
    throughs = [f"{date(2026, 1, 2) + timedelta(days=on)}" for on in sorted(days)]
    throughs += ["2027-06-01", "2027-06-02"]
    pays = [] if assumes_payment else [paid("2026-01-01", ("initial", "2026-01-01"))]
    given_: dict[str, Any] = {
        "policies": {"late_usage_windows": "24"}, "assumes_payment": assumes_payment
    }  # fmt: skip
    late = posted_in_turn([*(it for _, it in story), *pays], *throughs, uses=uses, **dict(given_))
    in_time = posted_in_turn(
        [*(it for it, _ in story), *pays], "2027-06-01", "2027-06-02",
        uses=[replace(item, landed_on=item.at.date()) for item in uses], **dict(given_),
    )  # fmt: skip
    assume(outcomes(late[0]) == outcomes(in_time[0]))
    assert in_all(*late) == in_all(*in_time)


def owed(made: tuple[Invoice, ...]) -> int:
    return sum(invoice.total.minor for invoice in made)


def test_the_same_bytes_whatever_the_order_of_hashing() -> None:
    """No order of a set or a mapping gets into an answer."""
    code = (
        "from tests.billing_core.test_bill import *\n"
        "told = folded(SEATS + [LATE_SEATS], setting_of(TAXED, uses=[APRIL]), '2026-07-02')\n"
        "print(repr(told))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=Path(__file__).parents[2],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(texts) == 1
