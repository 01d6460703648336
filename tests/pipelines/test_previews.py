"""Previews on a real data root: what an action would do, and that nothing is written."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from billing_core.previewing import Preview
from pipelines import answers, console
from pipelines.cli import action_fields
from pipelines.paths import DataRoot
from pipelines.previews import (
    BehindWhatIsPosted,
    CannotBeBilled,
    UnknownToPreview,
    WrongAction,
    preview_action,
)
from tests.pipelines.roots import (
    CATALOG,
    begun,
    bills,
    calls,
    contents,
    customer,
    land_actions,
    land_usage,
    post_all,
    run,
)

PLANS = CATALOG.replace(
    "plans:\n",
    """\
  editors:   {type: seats, name: Editors, unit: seat}
groups: {all: [pro, max]}
plans:
  max:
    name: Max
    consumption_model: metered
    prices: {monthly: {amount: 99.00}}
    features:
      api_calls: {included: 1000}
      editors:   {included: 1, overage: {unit_price: 10.00}}
""",
).replace(
    "      ai_chat:   {pricing: ai_model, margin_bp: 2000}\n",
    "      editors:   {overage: {unit_price: 20.00}}\n",
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> DataRoot:
    """Acme on pro since April 1 with 150 calls over, posted through May 2; beta is only known."""
    made = begun(tmp_path_factory.mktemp("previews"), PLANS)
    rows = customer("acme", external_ids=["crm-7"])
    rows += [customer("beta")[0], *customer("zoe", time_zone="Asia/Tokyo")[:1]]
    land_actions(made, rows)
    land_usage(made, [calls("acme", 250), calls("acme", 40, on=11)])
    run(made)
    post_all(made)
    return made


def seen(root: DataRoot, do: str, at: str, who: str = "acme", **fields: object) -> Preview:
    before = contents(root.root)
    found = preview_action(root, who, do, fields, at=date.fromisoformat(at)).found
    assert contents(root.root) == before
    return found


def shown(found: Preview) -> list[str]:
    return [
        f"{it.billing_day} {it.type} {it.total.major}" for it in (*found.invoices, *found.upcoming)
    ]


def test_an_upgrade_shows_its_invoice_and_the_next_renewal(root: DataRoot) -> None:
    """29.00 x 15/31 = 14.03 of May is given back: 99.00 - 14.03 = 84.97."""
    found = seen(root, "change_plan", "2026-05-17", plan="max")
    assert str(found.outcome) == "applied"
    assert shown(found) == ["2026-05-17 plan_change 84.97", "2026-06-17 recurring 99.00"]
    assert (found.before.plan, found.after.plan) == ("pro", "max")


def test_what_waits_says_its_day_and_what_is_refused_its_reason(root: DataRoot) -> None:
    found = seen(root, "cancel", "2026-05-17")
    assert str(found.outcome) == "scheduled 2026-06-01"
    assert (shown(found), found.after.cancel_on) == ([], date(2026, 6, 1))
    refused = seen(root, "change_plan", "2026-05-17", plan="huge")
    assert str(refused.outcome) == "refused plan_not_available"
    assert shown(refused) == ["2026-06-01 recurring 29.00"]


def test_seats_are_settled_at_the_renewal(root: DataRoot) -> None:
    """2 x 20.00 x 15/31 = 19.35 for May and 2 x 20.00 for June, beside 29.00."""
    found = seen(root, "add_seats", "2026-05-17", feature="editors", quantity="2")
    assert shown(found) == ["2026-06-01 recurring 88.35"]
    assert found.after.seats["editors"] == 2


def test_a_checkout_is_shown_as_if_it_was_paid(root: DataRoot) -> None:
    found = seen(
        root,
        "subscribe",
        "2026-05-17",
        "beta",
        plan="pro",
        interval="monthly",
        seats={"editors": "1"},
    )
    assert shown(found) == ["2026-05-17 initial 49.00", "2026-06-17 recurring 49.00"]
    assert (found.before.status, found.after.status) == (None, "active")


def test_a_day_begins_in_the_customers_time_zone(root: DataRoot) -> None:
    at = date(2026, 5, 17)
    fields = {"plan": "pro", "interval": "monthly"}
    found = preview_action(root, "zoe", "subscribe", fields, at=at)
    assert found.action.at == datetime(2026, 5, 16, 15, tzinfo=UTC)
    assert found.found.invoices[0].billing_day == at


def test_a_customer_is_found_by_his_other_id(root: DataRoot) -> None:
    assert seen(root, "pause", "2026-05-17", "crm-7").after.status == "paused"


def test_a_preview_is_what_the_next_run_drafts(tmp_path: Path) -> None:
    root = begun(tmp_path, PLANS)
    land_actions(root, customer("acme"))
    land_usage(root, [calls("acme", 250)])
    run(root)
    found = seen(root, "change_plan", "2026-04-16", plan="max")
    land_actions(
        root,
        [
            {
                "id": "up",
                "at": "2026-04-16T00:00:00Z",
                "customer": "acme",
                "do": "change_plan",
                "plan": "max",
            }
        ],
        date(2026, 4, 16),
    )
    drafted = bills(run(root))["acme"]
    (made,) = found.invoices
    assert drafted == ["29.00", f"{made.total.major}"]


def test_a_window_that_ends_inside_a_day_reads_its_events_and_keeps_none(root: DataRoot) -> None:
    before = contents(root.root)
    at = datetime(2026, 5, 17, 12, tzinfo=UTC)
    found = preview_action(root, "acme", "cancel", {"when": "now"}, at=at).found
    assert contents(root.root) == before
    assert found.after.status == "canceled"


def test_who_is_unknown_is_told_the_nearest(root: DataRoot) -> None:
    with pytest.raises(UnknownToPreview, match="did you mean 'acme'"):
        seen(root, "pause", "2026-05-17", "acmee")


def test_a_day_behind_what_is_posted_is_refused_with_the_first_possible(root: DataRoot) -> None:
    with pytest.raises(BehindWhatIsPosted, match="--at 2026-05-01"):
        seen(root, "pause", "2026-04-30")
    assert str(seen(root, "pause", "2026-05-01").outcome) == "applied"


def test_a_wrong_field_is_named_with_the_nearest(root: DataRoot) -> None:
    with pytest.raises(WrongAction, match="did you mean 'plan'"):
        seen(root, "change_plan", "2026-05-17", plann="max")
    with pytest.raises(WrongAction, match="'chnge_plan' is no action"):
        seen(root, "chnge_plan", "2026-05-17")


def test_what_is_not_billed_is_a_message(root: DataRoot) -> None:
    with pytest.raises(CannotBeBilled, match=r"PREVIEW-04.*SCOPE-01"):
        seen(root, "buy_item", "2026-05-17", item="dark")


def test_options_are_the_fields_of_the_action() -> None:
    given = ["--plan", "pro", "--seats", "editors=3", "--seats", "viewers=1", "--when=now"]
    assert action_fields(given) == {
        "plan": "pro",
        "seats": {"editors": "3", "viewers": "1"},
        "when": "now",
    }


def test_the_answer_is_for_people_and_for_programs(root: DataRoot) -> None:
    found = preview_action(root, "acme", "change_plan", {"plan": "max"}, at=date(2026, 5, 17))
    text = "\n".join(str(part) for part in answers.preview(found))
    assert "Pro, unused time" in text
    assert "1 month x 99.00 = 99.00 USD" in text
    assert "usage known through 2026-05-02. Nothing was written" in text
    value = answers.preview_value(found)
    assert value["outcome"] == {
        "status": "applied",
        "what": "change_plan was applied",
        "scheduled_on": None,
        "reason": None,
    }
    console.answer(console.Screen(as_json=True), value)
