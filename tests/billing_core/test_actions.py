"""An action is read whole or refused with its cure; who may take it is fixed by its kind."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from billing_core.actions import (
    FOUNDER_ONLY,
    MODELS,
    Action,
    CreateCustomer,
    ImportSubscription,
    IssueCreditNote,
    Outcome,
    OutcomeStatus,
    Payment,
    PublishCatalog,
    ReasonCode,
    Subscribe,
    may_do,
    parse_action,
    row_of,
)
from tests.billing_core.broken import ACTIONS, SUBSCRIBE

AT = datetime(2026, 4, 1, tzinfo=UTC)

EXAMPLES: dict[str, dict[str, Any]] = {
    "create_customer": {
        "name": "Ada",
        "email": "ada@example.org",
        "country": "DE",
        "tax_id": "DE136695976",
        "address": "Weg 1",
        "time_zone": "Europe/Berlin",
        "locale": "de-DE",
        "external_ids": ["x1"],
        "collection": "on_terms",
        "payment_days": "14",
    },
    "update_customer": {"address": ["Weg 2", "10115 Berlin"], "tax_id": None},
    "import_subscription": {
        "plan": "starter",
        "interval": "monthly",
        "anchor": "2026-01-20",
        "period": ["2026-03-20", "2026-04-20"],
        "paid_through": "2026-04-20",
        "seats": {"editors": "6"},
        "terms": {"prices": {"monthly": {"amount": "25.00"}}},
        "credits": "30",
        "discount": {"type": "percentage", "value": "1000", "cycles": "2"},
    },
    "opening_balance": {
        "customer_credit": "5.00",
        "outstanding": [{"invoice": "OLD-1", "due": "2026-03-01", "amount": "12.00"}],
    },
    "override_terms": {
        "patch": {"prices": {"monthly": {"amount": "20.00"}}},
        "until": "2027-01-01",
    },
    "subscribe": {
        "plan": "starter",
        "interval": "monthly",
        "currency": "EUR",
        "promo_code": "save20",
        "seats": {"editors": "7"},
    },
    "trial_setup": {},
    "change_plan": {"interval": "yearly"},
    "cancel": {"when": "now"},
    "undo_cancel": {},
    "pause": {},
    "resume": {},
    "activate_addon": {"addon": "sms"},
    "deactivate_addon": {"addon": "sms"},
    "add_seats": {"feature": "editors", "quantity": "2", "reason": "hired"},
    "remove_seats": {"feature": "editors", "quantity": "1"},
    "set_seats": {"feature": "editors", "quantity": "0"},
    "buy_credit_pack": {"pack": "c"},
    "buy_capacity_pack": {"pack": "c"},
    "buy_quota_pack": {"pack": "c"},
    "renew_quota_pack": {"pack": "c"},
    "top_up": {"amount": "5.00"},
    "confirm_overage": {"feature": "bandwidth", "cap": "10.00"},
    "allocate_job_slot": {"feature": "jobs", "job": "j1"},
    "release_job_slot": {"feature": "jobs", "job": "j1"},
    "buy_item": {"item": "dark"},
    "buy_bundle": {"bundle": "spring"},
    "refund_sale": {"sale": "s1"},
    "payment": {"invoice": {"type": "initial", "on": "2026-04-01"}, "result": "failed"},
    "publish_catalog": {"patch": {"plans": {"pro": {"public": "false", "prices": None}}}},
    "assign_plan": {"plan": "pro", "interval": "monthly", "effective": "renewal"},
    "delete_plan": {"plan": "starter", "option": "migrate", "to": "pro"},
    "delete_customer": {},
    "grant_credit": {"amount": "5.00", "reason": "sorry", "expires_at": "2026-09-01"},
    "revoke_credit": {"amount": "5.00", "reason": "error"},
    "audit_item": {
        "item": "dark",
        "audit": {
            "css_kb": "31",
            "fcp_s": "1.2",
            "tti_s": "2.9",
            "fps": "60",
            "contrast": "7.1",
            "keyboard": "true",
            "focus": "true",
            "screen_reader": "true",
            "reduced_motion": "false",
        },
    },
    "issue_credit_note": {
        "invoice": "INV-2026-000001",
        "lines": [{"type": "plan_base", "amount": "3.00"}],
        "reason": "error",
    },
    "write_off": {"invoice": "INV-2026-000001", "amount": "3.00", "reason": "lost"},
    "refund": {"invoice": "INV-2026-000001", "amount": "3.00", "reason": "paid twice"},
    "decide_conflict": {"source": "gateway", "event_id": "e1", "keep": "first"},
    "release_hold": {"reason": "conflict"},
}
FOR_NOBODY = {"publish_catalog", "delete_plan", "audit_item", "decide_conflict"}


def action(do: str, **fields: Any) -> Action:
    common = {"id": "a1", "at": "2026-04-01T00:00:00Z", "received_at": AT, "do": do}
    customer = {} if do in FOR_NOBODY else {"customer": "acme"}
    read = parse_action({**common, **customer, **fields}, where="actions.jsonl")
    assert not isinstance(read, tuple), "\n".join(map(str, read))
    return read


def test_every_action_has_an_example() -> None:
    assert EXAMPLES.keys() == MODELS.keys()


@pytest.mark.parametrize("do", EXAMPLES)
def test_an_action_is_read_and_its_row_reads_back_to_it(do: str) -> None:
    read = action(do, **EXAMPLES[do])
    assert read.do == do
    assert read.at == AT
    assert read.customer == (None if do in FOR_NOBODY else "acme")
    again = parse_action(row_of(read), where="again")
    assert again == read
    assert row_of(read).keys() == EXAMPLES[do].keys() | {"id", "at", "received_at", "do"} | (
        set() if do in FOR_NOBODY else {"customer"}
    )


@pytest.mark.parametrize(("fields", "code", "path"), ACTIONS.values(), ids=ACTIONS)
def test_a_wrong_action_names_place_and_cure(fields: Any, code: str, path: str) -> None:
    record = {key: value for key, value in (SUBSCRIBE | fields).items() if value is not None}
    found = parse_action(record, where="actions.jsonl:1")
    assert isinstance(found, tuple)
    assert (code, path) in {(problem.code, problem.path) for problem in found}
    assert all(problem.file == "actions.jsonl:1" and problem.mend for problem in found)


def test_personal_values_are_not_repeated_in_messages() -> None:
    record = SUBSCRIBE | {"do": "create_customer", "email": ["ada@example.org"], "name": ["Ada"]}
    found = parse_action(record, where="actions.jsonl:1")
    assert isinstance(found, tuple)
    assert "ada" not in "".join(map(str, found)).lower()


def test_values_are_exact() -> None:
    read = action("subscribe", **EXAMPLES["subscribe"])
    assert isinstance(read, Subscribe)
    assert read.promo_code == "SAVE20"
    assert read.seats == {"editors": 7}
    paid = action("payment", **EXAMPLES["payment"])
    assert isinstance(paid, Payment)
    assert not isinstance(paid.invoice, str)
    assert paid.invoice.on == date(2026, 4, 1)
    moved = action("import_subscription", **EXAMPLES["import_subscription"])
    assert isinstance(moved, ImportSubscription)
    assert moved.credits is not None
    assert (moved.credits.plan, moved.credits.purchased) == (Decimal(30), Decimal(0))
    note = action("issue_credit_note", **EXAMPLES["issue_credit_note"])
    assert isinstance(note, IssueCreditNote)
    assert note.lines[0].amount == Decimal(3)
    address = action("create_customer", **EXAMPLES["create_customer"])
    assert isinstance(address, CreateCustomer)
    assert address.address == ("Weg 1",)


def test_a_patch_is_kept_as_text_with_its_nulls() -> None:
    read = action("publish_catalog", patch={"plans": {"pro": {"public": False, "prices": None}}})
    assert isinstance(read, PublishCatalog)
    assert read.patch == {"plans": {"pro": {"public": "false", "prices": None}}}


@pytest.mark.parametrize("do", EXAMPLES)
def test_who_may_take_an_action(do: str) -> None:
    by = {
        who: may_do(action(do, **EXAMPLES[do], actor=who))
        for who in ("founder", "customer", "system")
    }
    for_all = do not in FOUNDER_ONLY
    assert by == {"founder": True, "customer": for_all, "system": for_all}


def test_reason_codes_are_one_list() -> None:
    assert len(ReasonCode) == 38
    assert list(ReasonCode) == sorted(ReasonCode)


def test_an_outcome_is_written_as_in_scenarios() -> None:
    done = Outcome("a1", "acme", OutcomeStatus.APPLIED, "subscribed to starter", AT, AT)
    later = Outcome(
        "a2", "acme", OutcomeStatus.SCHEDULED, "ends", AT, AT, scheduled_on=date(2026, 5, 1)
    )
    refused = Outcome("a3", "acme", OutcomeStatus.REFUSED, "no", AT, AT, reason=ReasonCode.PAST_DUE)
    assert [str(one) for one in (done, later, refused)] == [
        "applied",
        "scheduled 2026-05-01",
        "refused past_due",
    ]
