"""Bad input, one case each: the others are billed right, nothing is billed wrong, and what is
bad is set aside or faulted with its reason, place and cure, and comes back once it is mended."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pypdf import PdfReader

from billing_core.actions import ReasonCode
from billing_core.errors import Problem
from pipelines.datasets import current_files
from pipelines.documents import render_documents
from pipelines.drafts import read_drafts
from pipelines.history import CatalogIsWrong
from pipelines.paths import PACKAGE_ROOT, DataRoot
from pipelines.posting import DraftsHaveChanged, Numbering, post
from pipelines.steps import Drafted, draft, land, meter, unexplained_usage
from reports.pool import Rendered, RenderFault
from tests.pipelines import roots
from tests.pipelines.roots import CATALOG, LANDED, THROUGH, bills, calls, customer, run

OTHERS = {"beta": ["29.00", "30.00"]}
"""What beta owes in every case: two months, and ten calls above the included hundred."""

MAPPING = "columns: {event_id: id, customer_id: who, feature: what, occurred_at: at, value: n}\n"


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    """Two customers since 1 April; beta has used 110 calls."""
    begun = roots.begun(tmp_path / "root")
    roots.land_actions(begun, customer("acme") + customer("beta"))
    roots.land_usage(begun, [calls("beta", 110)], name="good.parquet")
    return begun


def place(problem: Problem) -> tuple[str, bool]:
    """Where a problem lies, and whether it tells its cure."""
    return problem.file.rpartition("/")[2], bool(problem.what and problem.mend)


def set_aside_rows(root: DataRoot) -> list[tuple[str, int | None, str]]:
    """File, row and reason of every landed row that cannot be counted; each has a cure."""
    paths = current_files(root, "set_aside").values()
    found = pl.concat([pl.read_parquet(path) for path in paths]).sort("path", "row_number")
    assert found["mend"].null_count() == 0
    assert found["what"].null_count() == 0
    rows = found.select(pl.col("path").str.split("/").list.last(), "row_number", "reason")
    return rows.rows()


def owed(drafted: Drafted, acme: list[str] | None = None) -> None:
    """Assert what everybody owes, and that all usage is accounted for."""
    assert bills(drafted) == OTHERS | ({} if acme is None else {"acme": acme})


def ai(event_id: str, **tokens: object) -> dict[str, Any]:
    """An event of AI chat."""
    return calls("acme", None, event_id) | {"feature": "ai_chat", **tokens}


FULL = {"model": "lab/large", "input_tokens": 1_000_000, "output_tokens": 100_000}

# Each: rows that land, acme's invoices (29.00 + 0.10 for each call above 100), reasons.
# fmt: off
USAGE: dict[str, tuple[list[dict[str, Any]], list[str], dict[str, int]]] = {
    "the same id twice":      ([calls("acme", 150)] * 2, ["29.00", "34.00"], {}),
    "a negative value":       ([calls("acme", 150), calls("acme", -40, "n")],
                               ["29.00", "34.00"], {"negative_value": 1}),
    "an unknown customer":    ([calls("ghost", 150)], ["29.00", "29.00"], {"unknown_customer": 1}),
    "an unknown feature":     ([calls("acme", 150) | {"feature": "faxes"}],
                               ["29.00", "29.00"], {"unknown_feature": 1}),
    "an unknown model":       ([ai("a", **FULL), ai("b", **(FULL | {"model": "lab/none"}))],
                               ["29.00", "34.40"], {"unknown_model": 1}),
    "missing output tokens":  ([ai("a", **FULL), ai("b", **(FULL | {"output_tokens": None}))],
                               ["29.00", "34.40"], {"missing_tokens": 1}),
    "no model and no tokens": ([ai("a", **FULL), ai("b")],
                               ["29.00", "34.40"], {"missing_tokens": 1}),
    "negative tokens":        ([ai("a", **FULL), ai("b", **(FULL | {"input_tokens": -5}))],
                               ["29.00", "34.40"], {"negative_tokens": 1}),
    "no event id":            ([calls("acme", 150) | {"event_id": None}],
                               ["29.00", "29.00"], {"missing_event_id": 1}),
    "an empty event id":      ([calls("acme", 150) | {"event_id": ""}],
                               ["29.00", "29.00"], {"missing_event_id": 1}),
    "no instant":             ([calls("acme", 150) | {"occurred_at": None}],
                               ["29.00", "29.00"], {"missing_occurred_at": 1}),
    "before he came":         ([calls("acme", 150) | {
                                   "occurred_at": datetime(2026, 3, 31, 23, 59, tzinfo=UTC)}],
                               ["29.00", "29.00"], {"no_access": 1}),
    "a value beyond bounds":  ([calls("acme", 10**19)],
                               ["29.00", "29.00"], {"value_out_of_range": 1}),
}
# fmt: on


@pytest.mark.parametrize(("rows", "acme", "reasons"), USAGE.values(), ids=USAGE)
def test_usage(
    rows: list[dict[str, Any]], acme: list[str], reasons: dict[str, int], root: DataRoot
) -> None:
    roots.land_usage(root, rows)
    drafted = run(root)
    owed(drafted, acme)
    assert roots.reasons(drafted) == reasons
    assert unexplained_usage(root, drafted) == {}


def test_a_deleted_plan_moves_its_customers_and_one_that_cannot_be_is_set_aside(
    tmp_path: Path,
) -> None:
    """Rule CAT-8: beta uses 10 calls above pro's; `odd` has overage that is not billed."""
    more = """\
  max: {name: Max, consumption_model: metered, prices: {monthly: {amount: 59.00}}, features: {}}
  odd:
    name: Odd
    consumption_model: metered
    prices: {monthly: {amount: 10.00}}
    features: {room: {included: 1, overage: {unit_price: 1.00}}}
ai_models:"""
    catalog = CATALOG.replace("ai_models:", more).replace(
        "plans:\n", "  room: {type: quota, name: Room, unit: GB}\nplans:\n"
    )
    root = roots.begun(tmp_path / "root", catalog)
    roots.land_actions(root, customer("beta"))
    roots.land_usage(root, [calls("beta", 110)])
    deletion = {"do": "delete_plan", "plan": "pro", "option": "migrate", "actor": "founder"}
    asked = [
        deletion | {"id": "odd", "to": "odd", "at": f"{LANDED}T00:00:00Z"},
        deletion | {"id": "max", "to": "max", "at": f"{LANDED}T01:00:00Z"},
    ]
    roots.land_actions(root, asked, LANDED)
    drafted = run(root)
    assert bills(drafted) == {"beta": ["29.00", "60.00"]}
    (aside,) = drafted.known.set_aside
    assert (aside.problem.code, aside.problem.path, aside.landing_day) == ("SCOPE-01", "to", LANDED)
    assert {it.action_id: str(it) for it in drafted.known.outcomes}["max"] == "applied"


def test_a_conflict_holds_its_customer_until_it_is_decided(root: DataRoot) -> None:
    roots.land_usage(root, [calls("acme", 150, "e")])
    roots.land_usage(root, [calls("acme", 900, "e")], LANDED + timedelta(days=1))
    owed(run(root), ["29.00", "34.00"])
    posted = roots.post_all(root)
    assert {it.invoice.customer_id for it in posted.invoices} == {"beta"}
    assert posted.left_out == {"acme": "conflict"}
    on = THROUGH + timedelta(days=1)
    decision = {"do": "decide_conflict", "event_id": "e", "at": f"{on}T00:00:00Z"}
    asked = [
        decision | {"id": "by-customer", "actor": "customer", "keep": "first"},
        decision | {"id": "other", "actor": "founder", "keep": "other"},
    ]
    roots.land_actions(root, asked, on)
    drafted = run(root, on)
    assert [it.customer_id for it in read_drafts(root).holds] == ["acme"]
    assert [it.problem.code for it in drafted.known.set_aside] == ["SCOPE-02"]
    on += timedelta(days=1)
    kept = decision | {"id": "first", "actor": "founder", "customer": "acme", "keep": "first"}
    roots.land_actions(root, [kept], on)
    owed(run(root, on), ["29.00", "34.00"])
    posted = roots.post_all(root, on)
    assert [it.invoice.customer_id for it in posted.invoices] == ["acme", "acme"]
    assert posted.left_out == {}


def test_a_release_lets_go_what_was_held_and_not_what_comes_later(root: DataRoot) -> None:
    roots.land_usage(root, [calls("acme", 150, "e")])
    roots.land_usage(root, [calls("acme", 900, "e")], LANDED + timedelta(days=1))
    run(root)
    on = THROUGH + timedelta(days=1)
    release = {"do": "release_hold", "customer": "acme", "at": f"{on}T00:00:00Z"}
    asked = [
        release | {"id": "by-customer", "actor": "customer", "reason": "conflict"},
        release | {"id": "unknown", "actor": "founder", "reason": "because"},
        release | {"id": "nobody", "actor": "founder", "customer": "ghost", "reason": "conflict"},
    ]
    roots.land_actions(root, asked, on)
    drafted = run(root, on)
    refused = {it.action_id: it.reason for it in drafted.known.outcomes if it.reason is not None}
    assert refused == {
        "by-customer": ReasonCode.WRONG_ACTOR,
        "unknown": ReasonCode.NOT_FOUND,
        "nobody": ReasonCode.UNKNOWN_CUSTOMER,
    }
    assert [it.customer_id for it in read_drafts(root).holds] == ["acme"]
    on += timedelta(days=1)
    roots.land_actions(
        root, [release | {"id": "let-go", "actor": "founder", "reason": "conflict"}], on
    )
    owed(run(root, on), ["29.00", "34.00"])
    assert read_drafts(root).holds == ()
    on += timedelta(days=1)
    roots.land_usage(root, [calls("acme", 901, "e")], on)
    run(root, on)
    assert [it.customer_id for it in read_drafts(root).holds] == ["acme"]


def test_an_event_from_the_future_counts_when_its_time_has_come(root: DataRoot) -> None:
    roots.land_usage(root, [calls("acme", 150, on=25)])
    early = run(root, date(2026, 4, 22))
    assert bills(early) == {"acme": ["29.00"], "beta": ["29.00"]}
    assert roots.reasons(early) == {"future": 1}
    later = run(root)
    owed(later, ["29.00", "34.00"])
    assert roots.reasons(later) == {}


def test_usage_of_an_unknown_customer_comes_back_when_he_is_created(root: DataRoot) -> None:
    roots.land_usage(root, [calls("late", 150)])
    drafted = run(root)
    owed(drafted, ["29.00", "29.00"])
    assert roots.reasons(drafted) == {"unknown_customer": 1}
    roots.post_all(root)
    on = THROUGH + timedelta(days=1)
    arrived = {"received_at": "2026-04-01T00:00:00Z"}
    roots.land_actions(root, [row | arrived for row in customer("late")], on)
    drafted = run(root, on)
    assert bills(drafted)["late"] == ["29.00", "34.00"]
    assert roots.reasons(drafted) == {}


LINES = {
    "not a number": ('"n": NaN', "unreadable_value"),
    "not a number as text": ('"n": "NaN"', "unreadable_value"),
    "infinite": ('"n": "Infinity"', "unreadable_value"),
    "too fine": ('"n": 0.0000000001', "unreadable_value"),
    "too large": ('"n": 1e400', "unreadable_value"),
    "an object": ('"n": {"a": 1}', "unreadable_value"),
    "null": ('"n": null', "missing_value"),
    "a word for an instant": ('"n": 1, "at": "yesterday"', "unreadable_occurred_at"),
    "half a surrogate": ('"n": 1, "x": "\\ud800"', "unreadable_row"),
    "a control character": ('"n": 1, "x": "\x01"', "unreadable_row"),
    "cut off": ('"n": 1, "x": "', "unreadable_row"),
}


def test_a_bad_line_is_set_aside_alone(root: DataRoot) -> None:
    """JSON Lines and CSV through a mapping: each bad line named, the good ones billed."""
    root.mappings.mkdir()
    (root.mappings / "app.yaml").write_text(MAPPING, encoding="utf-8")
    lines = []
    for number, (text, _) in enumerate(LINES.values()):
        start = f'{{"id": "{number}", "who": "acme", "what": "api_calls"'
        instant = "" if '"at"' in text else ', "at": "2026-04-10T12:00:00Z"'
        lines.append(f"{start}{instant}, {text}}}")
    good = '{"id": "g", "who": "acme", "what": "api_calls", "at": "2026-04-10T12:00:00Z", "n": 1.5}'
    rest = [good, "[1]", "null", "", '{"": 1}']
    path = roots.usage_path(root, LANDED, "app/lines.jsonl")
    path.write_text("".join(f"{line}\n" for line in [*lines, *rest]), encoding="utf-8")
    table = ["id,who,what,at,n"]
    table += [f"c{n},acme,api_calls,2026-04-10T12:00:00Z,{n}" for n in ("148.5", "NaN", "", "x")]
    roots.usage_path(root, LANDED, "app/table.csv").write_text("\n".join(table), encoding="utf-8")
    drafted = run(root)
    owed(drafted, ["29.00", "34.00"])
    count = len(LINES)
    expected = [(n, reason) for n, (_, reason) in enumerate(LINES.values(), start=1)]
    expected += [(count + n, "unreadable_row") for n in (2, 3)]
    expected += [(count + 4, "missing_event_id")]  # the blank line is no row
    found = set_aside_rows(root)
    assert [(row, why) for file, row, why in found if file == "lines.jsonl"] == expected
    assert [(row, why) for file, row, why in found if file == "table.csv"] == [
        (2, "unreadable_value"), (3, "missing_value"), (4, "unreadable_value"),
    ]  # fmt: skip
    assert unexplained_usage(root, drafted) == {}


def frame(*names: str) -> pl.DataFrame:
    """One event of acme without the columns named."""
    return pl.DataFrame([calls("acme", 150)], schema=roots.USAGE).drop(names)


def floats(path: Path) -> None:
    frame().with_columns(pl.col("value").cast(pl.Float64)).write_parquet(path)


def truncated(path: Path) -> None:
    frame().write_parquet(path)
    path.write_bytes(path.read_bytes()[:-30])


# fmt: off
FILES: dict[str, tuple[str, Callable[[Path], object], str, str]] = {
    "a float column":    ("f.parquet", floats, "float_column", "decimal(38, 9)"),
    "a missing column":  ("f.parquet", lambda path: frame("customer_id").write_parquet(path),
                          "missing_column", "canonical columns"),
    "cut off":           ("f.parquet", truncated, "unreadable_file", "land it again"),
    "an empty file":     ("f.parquet", lambda path: path.write_bytes(b""),
                          "empty_file", "land it again"),
    "no mapping":        ("f.csv", lambda path: path.write_text("a,b\n1,2\n"),
                          "no_mapping", "landing/mappings"),
}
# fmt: on


@pytest.mark.parametrize(("name", "write", "reason", "cure"), FILES.values(), ids=FILES)
def test_a_bad_file_is_set_aside_whole_and_its_cure_counts(
    name: str, write: Callable[[Path], object], reason: str, cure: str, root: DataRoot
) -> None:
    path = roots.usage_path(root, LANDED, name)
    write(path)
    (root.usage_landing / "day=2026-04-21" / "app").mkdir(parents=True)
    registered = land(root, THROUGH).usage
    (bad,) = [file for file in registered.new if not file.is_used]
    assert (bad.path, bad.reason) == (f"day={LANDED}/{name}", reason)
    assert cure in str(bad.mend)
    assert [place(problem) for problem in registered.problems] == [(name, True)]
    owed(run(root), ["29.00", "29.00"])
    path.with_suffix(".parquet").unlink(missing_ok=True)
    on = THROUGH + timedelta(days=1)
    roots.land_usage(root, [calls("acme", 150)], on, name="again.parquet")
    owed(run(root, on), ["29.00", "34.00"])


def test_columns_that_may_be_left_out(root: DataRoot) -> None:
    path = roots.usage_path(root, LANDED, "short.parquet")
    frame("value", "model", "input_tokens", "output_tokens").write_parquet(path)
    drafted = run(root)
    owed(drafted, ["29.00", "29.00"])
    used = {
        it.customer_id: each.used
        for it in drafted.rated.invoices
        for each in it.usage
        if each.feature == "api_calls"
    }
    assert used == {"acme": 1, "beta": 110}


OTHER_MAPPINGS = {
    "edited": MAPPING.replace("value: n", 'value: "n::decimal(38, 9) * 2"'),
    "broken": "columns: {",
    "gone": None,
}


@pytest.mark.parametrize("text", OTHER_MAPPINGS.values(), ids=OTHER_MAPPINGS)
def test_usage_is_never_read_with_a_mapping_that_it_did_not_land_under(
    text: str | None, root: DataRoot
) -> None:
    mapping = root.mappings / "app.yaml"
    root.mappings.mkdir()
    mapping.write_text(MAPPING, encoding="utf-8")
    rows = "id,who,what,at,n\n1,acme,api_calls,2026-04-10T12:00:00Z,150\n"
    roots.usage_path(root, LANDED, "app/use.csv").write_text(rows, encoding="utf-8")
    owed(run(root), ["29.00", "34.00"])
    hash_before = read_drafts(root).summary.hash
    if text is None:
        mapping.unlink()
    else:
        mapping.write_text(text, encoding="utf-8")
    owed(run(root), ["29.00", "34.00"])  # what was metered stands
    assert read_drafts(root).summary.hash == hash_before
    root.warehouse.rename(root.root / "lost")
    land(root, THROUGH)
    (problem,) = meter(root, THROUGH).problems
    assert (problem.code, *place(problem)) == ("LAND-07", "app.yaml", True)
    draft(root, THROUGH)
    assert {it.reason for it in read_drafts(root).holds} == {"missing_usage"}
    assert roots.post_all(root).invoices == ()
    mapping.write_text(MAPPING, encoding="utf-8")
    owed(run(root), ["29.00", "34.00"])
    assert read_drafts(root).summary.hash == hash_before


def test_what_lands_on_a_day_that_cannot_be_metered_again_holds_the_invoices(
    root: DataRoot,
) -> None:
    gone = roots.land_usage(root, [calls("acme", 150)], THROUGH, "gone.parquet")
    was = gone.read_bytes()
    run(root)
    gone.unlink()
    roots.land_usage(root, [calls("acme", 10, "e")], THROUGH, "more.parquet")
    run(root)
    assert {it.reason for it in read_drafts(root).holds} == {"missing_usage"}
    assert roots.post_all(root).invoices == ()
    gone.write_bytes(was)
    owed(run(root), ["29.00", "35.00"])
    assert read_drafts(root).holds == ()


@pytest.mark.parametrize("name", ["us[1]e.parquet", "*.parquet", "????.parquet", "it's.parquet"])
def test_a_file_name_is_no_pattern(name: str, root: DataRoot) -> None:
    path = roots.usage_path(root, LANDED, name)
    with path.open("wb") as file:
        frame().write_parquet(file)
    registered = land(root, THROUGH).usage
    assert [(file.rows, file.reason) for file in registered.new] == [(1, None)] * 2
    owed(run(root), ["29.00", "34.00"])


def test_a_file_that_changes_or_vanishes_is_named_and_what_was_metered_stands(
    root: DataRoot,
) -> None:
    roots.land_usage(root, [calls("acme", 150)])
    gone = roots.land_usage(root, [calls("acme", 10, "e")], name="gone.parquet")
    was = gone.read_bytes()
    owed(run(root), ["29.00", "35.00"])
    roots.land_usage(root, [calls("acme", 99_999)])
    gone.unlink()
    problems = land(root, THROUGH).usage.problems
    assert [(it.code, *place(it)) for it in problems] == [
        ("LAND-03", "gone.parquet", True), ("LAND-02", "usage.parquet", True),
    ]  # fmt: skip
    owed(run(root), ["29.00", "35.00"])
    # with the warehouse lost as well nobody can tell whose usage is missing: nothing is posted
    root.warehouse.rename(root.root / "lost")
    run(root)
    assert {it.reason for it in read_drafts(root).holds} == {"missing_usage"}
    assert roots.post_all(root).invoices == ()
    roots.land_usage(root, [calls("acme", 150)])
    gone.write_bytes(was)
    owed(run(root), ["29.00", "35.00"])
    assert read_drafts(root).holds == ()
    assert len(roots.post_all(root).invoices) == 4


PRICES = "    prices: {monthly: {amount: 29.00}}\n"
BERLIM = "policies: {billing_time_zone: Europe/Berlim}\n"

# fmt: off
CATALOGS: dict[str, tuple[dict[str, str], str, str]] = {
    "a typo":         ({"2026-01-01.yaml": CATALOG.replace("included:", "includd:", 1)},
                       "2026-01-01.yaml: plans.pro.features.api_calls.includd", "included"),
    "no price":       ({"2026-01-01.yaml": CATALOG.replace(PRICES, "")},
                       "2026-01-01.yaml: plans.pro.prices", ""),
    "no YAML":        ({"2026-01-01.yaml": CATALOG + "]"}, "2026-01-01.yaml", ""),
    "one instant":    ({"b.yaml": CATALOG}, "b.yaml: effective_at", "instant of its own"),
    "no such zone":   ({"2026-01-01.yaml": CATALOG + BERLIM},
                       "2026-01-01.yaml: policies.billing_time_zone", "Europe/Berlin"),
}
# fmt: on


@pytest.mark.parametrize(("files", "where", "cure"), CATALOGS.values(), ids=CATALOGS)
def test_a_wrong_catalog_stops_the_run_and_changes_nothing(
    files: dict[str, str], where: str, cure: str, root: DataRoot
) -> None:
    run(root)
    roots.post_all(root)
    before = roots.contents(root.warehouse) | roots.contents(root.books)
    right = (root.catalog / "2026-01-01.yaml").read_text(encoding="utf-8")
    for name, text in files.items():
        (root.catalog / name).write_text(text, encoding="utf-8")
    with pytest.raises(CatalogIsWrong) as refused:
        run(root, THROUGH + timedelta(days=1))
    assert where in refused.value.where
    assert cure in refused.value.mend
    assert roots.contents(root.warehouse) | roots.contents(root.books) == before
    for name in files:
        (root.catalog / name).unlink()
    (root.catalog / "2026-01-01.yaml").write_text(right, encoding="utf-8")
    owed(run(root, THROUGH + timedelta(days=1)), ["29.00", "29.00"])


def does(action_id: str, do: str, **told: object) -> dict[str, Any]:
    """An action of acme on 5 April."""
    common = {"at": "2026-04-05T00:00:00Z", "actor": "customer", "customer": "acme"}
    return {"id": action_id, "do": do, **common, **told}


# fmt: off
SET_ASIDE: dict[str, tuple[dict[str, Any] | str, str, str]] = {
    "no JSON":          ("{bad", "ACTION-31", "(whole)"),
    "no object":        ("[]", "ACTION-31", "(whole)"),
    "a key twice":      ('{"id": "x", "id": "y"}', "ACTION-31", "(whole)"),
    "an unknown field": (does("x", "cancel", when="period_end", wehn="now"), "ACTION-01", "wehn"),
    "an unknown verb":  (does("x", "dance"), "ACTION-07", "do"),
    "an id again":      (does("acme.buys", "cancel", when="now"), "ACTION-32", "id"),
    "no such zone":     (does("x", "update_customer", time_zone="Mars/Phobos"),
                         "ACTION-33", "time_zone"),
    "a day, no instant": (does("x", "cancel", when="now", at="2026-04-05"), "ACTION-06", "at"),
    "an odd customer":  (does("x", "cancel", when="now", customer="a'b/../c\n"),
                         "ACTION-03", "customer"),
}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown customer": (does("x", "cancel", when="now", customer="ghost"), "unknown_customer"),
    "an unknown plan":     (does("x", "subscribe", plan="gold", interval="monthly",
                                 customer="poor"), "plan_not_available"),
    "not a founder":       (does("x", "grant_credit", amount="5.00", reason="please"),
                            "wrong_actor"),
}
# fmt: on


@pytest.mark.parametrize(("row", "code", "path"), SET_ASIDE.values(), ids=SET_ASIDE)
def test_an_action_that_cannot_be_read(
    row: dict[str, Any] | str, code: str, path: str, root: DataRoot
) -> None:
    landed = roots.land_actions(root, [row], date(2026, 4, 5))
    drafted = run(root)
    owed(drafted, ["29.00", "29.00"])
    (one,) = drafted.known.set_aside
    assert (one.problem.code, one.problem.path, one.row) == (code, path, 1)
    assert one.file.endswith(landed.name)
    assert one.problem.mend


@pytest.mark.parametrize(("row", "reason"), REFUSED.values(), ids=REFUSED)
def test_an_action_that_is_refused(row: dict[str, Any], reason: str, root: DataRoot) -> None:
    comes = {"at": "2026-04-05T00:00:00Z", "actor": "customer", "customer": "poor"}
    created = {"id": "poor.comes", "do": "create_customer", "country": "US", **comes}
    roots.land_actions(root, [created, row], date(2026, 4, 5))
    drafted = run(root)
    owed(drafted, ["29.00", "29.00"])
    assert [(it.action_id, it.reason) for it in drafted.rated.outcomes if it.reason] == [
        ("x", reason)
    ]


def test_the_same_action_twice_is_one(root: DataRoot) -> None:
    roots.land_actions(root, customer("acme"), date(2026, 4, 1))
    drafted = run(root)
    owed(drafted, ["29.00", "29.00"])
    assert drafted.known.log.duplicates == 3


def test_money_as_a_number_is_read_as_it_is_written(root: DataRoot) -> None:
    granted = does("x", "grant_credit", amount=0.1, reason="sorry", actor="founder")
    roots.land_actions(root, [granted], date(2026, 4, 5))
    (read,) = [it.action for it in run(root).known.log.actions if it.action.id == "x"]
    assert str(getattr(read, "amount")) == "0.1"  # noqa: B009 # only a grant has an amount


def test_what_is_not_billed_faults_one_customer_and_the_others_are_posted(root: DataRoot) -> None:
    confirms = does("x", "confirm_overage", feature="api_calls")
    roots.land_actions(root, [confirms], date(2026, 4, 5))
    drafted = run(root)
    owed(drafted)
    (fault,) = drafted.rated.faults
    assert (fault.customer_id, fault.code) == ("acme", "SCOPE-01")
    assert fault.mend
    posted = roots.post_all(root)
    assert [it.number for it in posted.invoices] == ["INV-2026-000001", "INV-2026-000002"]
    assert {it.invoice.customer_id for it in posted.invoices} == {"beta"}
    assert list(posted.left_out) == ["acme"]


def test_ids_on_events_may_be_anything(root: DataRoot) -> None:
    odd = [
        "o'neil",
        'q"q',
        "a/b/../c",
        "line\nbreak",
        "x;drop table windows",
        "*[1]",
        "\u6771\u4eac",
    ]
    roots.land_actions(root, customer("odd", external_ids=odd))
    roots.land_usage(root, [calls(name, 20, f"e{n}'\n") for n, name in enumerate(odd)])
    drafted = run(root)
    assert bills(drafted)["odd"] == ["29.00", "33.00"]
    assert roots.reasons(drafted) == {}


@pytest.mark.parametrize("name", ['it\'s a "root"; -- x', "root [1]*?", "\u6771\u4eac %20"])
def test_a_root_may_have_any_name(name: str, tmp_path: Path) -> None:
    root = roots.begun(tmp_path / name)
    roots.land_actions(root, customer("acme") + customer("beta"))
    roots.land_usage(root, [calls("acme", 150), calls("beta", 110)])
    owed(run(root), ["29.00", "34.00"])
    assert len(roots.post_all(root).invoices) == 4


def test_anchors_on_the_last_days_of_months(tmp_path: Path) -> None:
    root = roots.begun(tmp_path, CATALOG.replace("2026-01-01", "2024-01-01"))
    late, leap = date(2024, 1, 31), date(2024, 2, 29)
    roots.land_actions(root, customer("late", late) + customer("leap", leap), late)
    made = run(root, date(2024, 4, 30)).rated.invoices
    days = [(it.customer_id, f"{it.billing_day:%m-%d}") for it in made]
    assert [day for who, day in days if who == "late"] == ["01-31", "02-29", "03-31", "04-30"]
    assert [day for who, day in days if who == "leap"] == ["02-29", "03-29", "04-29"]
    assert {it.total.minor for it in made} == {2900}  # months without usage


def test_nothing_landed_is_nothing_owed(tmp_path: Path) -> None:
    root = roots.begun(tmp_path)
    assert bills(run(root)) == {}
    assert roots.post_all(root).posting is None


def test_a_run_through_an_earlier_day_knows_what_was_known_then(root: DataRoot) -> None:
    roots.land_usage(root, [calls("acme", 150)])
    first = run(root)
    assert bills(run(root, date(2026, 4, 25))) == {"acme": ["29.00"], "beta": ["29.00"]}
    again = run(root)
    owed(again, ["29.00", "34.00"])
    assert again.summary.hash == first.summary.hash


def test_posting_twice_and_posting_what_was_not_looked_at(root: DataRoot) -> None:
    stale = run(root, date(2026, 4, 25)).summary.hash
    run(root)
    seller = Numbering("Example Labs B.V.")
    with pytest.raises(DraftsHaveChanged):
        post(root, draft_hash=stale, issued_on=THROUGH, numbering=seller)
    assert not root.books.exists()
    assert len(roots.post_all(root).invoices) == 4
    before = roots.contents(root.books)
    assert roots.post_all(root).posting is None
    run(root)
    assert roots.post_all(root).posting is None
    assert roots.contents(root.books) == before


NAMES = {
    "acme": "<b>Bold</b> <img src=file:///etc/passwd> {% include '/etc/passwd' %} {{ 7*7 }}",
    "beta": "\u6771\u4eac\u5546\u4e8b",
    "smile": "Smile \U0001f600",
}


def test_names_are_text_and_one_that_cannot_be_set_stops_no_other(tmp_path: Path) -> None:
    root = roots.begun(tmp_path)
    roots.land_actions(root, [row for id_, name in NAMES.items() for row in named(id_, name)])
    run(root, date(2026, 4, 2))
    roots.post_all(root, date(2026, 4, 2))
    made = dict(zip(sorted(NAMES), render_documents(root), strict=True))
    assert {who: type(it) for who, it in made.items()} == {
        "acme": Rendered, "beta": Rendered, "smile": RenderFault,
    }  # fmt: skip
    fault = made["smile"]
    assert isinstance(fault, RenderFault)
    assert fault.mend
    text = pdf_text(made["acme"])
    assert "<b>Bold</b>" in text
    assert "{{ 7*7 }}" in text
    assert "root:" not in text
    assert "\u6771\u4eac" in pdf_text(made["beta"])


def named(id_: str, name: str) -> list[dict[str, Any]]:
    """A customer with a name."""
    created, *rest = customer(id_)
    return [created | {"name": name}, *rest]


def pdf_text(made: Rendered | RenderFault) -> str:
    """All text of a PDF, its line breaks as blanks."""
    assert isinstance(made, Rendered)
    pages = PdfReader(made.path).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


AWAY = """
import sys
from pathlib import Path
from tests.pipelines import roots
root = roots.begun(Path(sys.argv[1]))
roots.land_actions(root, roots.customer("acme") + roots.customer("beta"))
roots.land_usage(root, [roots.calls("acme", 150), roots.calls("beta", 110, on=1)])
print(roots.run(root).summary.hash)
"""


def test_the_machines_time_zone_changes_nothing(tmp_path: Path) -> None:
    hashes = {
        subprocess.run(
            [sys.executable, "-c", AWAY, str(tmp_path / zone.replace("/", "-"))],
            env=os.environ | {"TZ": zone, "PYTHONPATH": str(PACKAGE_ROOT)},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for zone in ("UTC", "Pacific/Kiritimati")
    }
    assert len(hashes) == 1
