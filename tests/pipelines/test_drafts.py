"""Drafts are replaced whole by each run, have one hash, and can be compared."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import polars as pl
import pytest

from billing_core.invoice import Invoice
from billing_core.money import Currency, Money
from pipelines import drafts
from pipelines.drafts import Hold
from pipelines.paths import DataRoot
from tests.pipelines import samples

THROUGH = date(2026, 5, 2)


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file with its time of change and bytes."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    return DataRoot(tmp_path)


def test_drafts_come_back_the_same(root: DataRoot) -> None:
    made = [samples.recurring("b"), samples.initial("b"), samples.recurring("a")]
    at = samples.midnight(date(2026, 4, 1))
    written = drafts.write_drafts(
        root,
        made,
        through=THROUGH,
        outcomes=[samples.outcome("a", at)],
        faults=[samples.a_fault("c")],
        holds=[Hold("d", "conflict")],
    )
    read = drafts.read_drafts(root)
    assert read.invoices == (made[1], made[2], made[0])
    assert read.outcomes == (samples.outcome("a", at),)
    assert read.faults == (samples.a_fault("c"),)
    assert read.holds == (Hold("d", "conflict"),)
    assert (written.invoices, written.lines, written.faults, written.holds) == (3, 8, 1, 1)
    assert read.summary.hash == written.hash
    assert read.summary.through == THROUGH


def test_the_same_drafts_change_no_file(root: DataRoot) -> None:
    made = samples.many(4)
    first = drafts.write_drafts(root, made, through=THROUGH)
    before = contents(root.root)
    second = drafts.write_drafts(root, made[::-1], through=THROUGH)
    assert contents(root.root) == before
    assert (first.is_new, second.is_new) == (True, False)


def test_the_hash_is_of_the_drafts_and_not_of_their_history(tmp_path: Path) -> None:
    one, other = DataRoot(tmp_path / "one"), DataRoot(tmp_path / "other")
    straight = drafts.write_drafts(one, [samples.recurring("a")], through=THROUGH)
    drafts.write_drafts(other, samples.many(2), through=THROUGH)
    assert drafts.write_drafts(other, [samples.recurring("a")], through=THROUGH).hash == (
        straight.hash
    )


# fmt: off
CHANGES: dict[str, dict[str, object]] = {
    "another invoice":  {"invoices": [samples.recurring("a"), samples.initial("b")]},
    "another quantity": {"invoices": [samples.recurring("a", used=102_001)]},
    "a fault":          {"faults": [samples.a_fault("a")]},
    "a hold":           {"holds": [Hold("a", "conflict")]},
    "an outcome":       {"outcomes": [samples.outcome("a", samples.midnight(THROUGH))]},
}
# fmt: on


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_hash_sees(change: dict[str, object], root: DataRoot) -> None:
    same: dict[str, object] = {"invoices": [samples.recurring("a")]}
    before = drafts.write_drafts(root, through=THROUGH, **same)  # type: ignore[arg-type]
    after = drafts.write_drafts(root, through=THROUGH, **(same | change))  # type: ignore[arg-type]
    assert before.hash != after.hash


def test_a_day_without_drafts_any_more_is_emptied(root: DataRoot) -> None:
    drafts.write_drafts(root, [samples.initial("a"), samples.recurring("a")], through=THROUGH)
    drafts.write_drafts(root, [samples.recurring("a")], through=THROUGH)
    assert drafts.read_drafts(root).invoices == (samples.recurring("a"),)
    current = drafts.current_files(root, "draft_invoices")
    rows = {partition: pl.read_parquet(path).height for partition, path in current.items()}
    assert rows == {"billing_day=2026-04-01": 0, "billing_day=2026-05-01": 1}


def test_a_run_that_did_not_finish_is_not_seen(root: DataRoot) -> None:
    drafts.write_drafts(root, [samples.recurring("a")], through=THROUGH)
    summary = drafts.summary_path(root).read_bytes()
    drafts.write_drafts(root, [samples.recurring("a", used=5)], through=THROUGH)
    drafts.summary_path(root).write_bytes(summary)  # as if killed before its last step
    assert drafts.read_drafts(root).invoices == (samples.recurring("a"),)


def test_a_new_through_with_the_same_drafts_keeps_the_hash(root: DataRoot) -> None:
    first = drafts.write_drafts(root, samples.many(1), through=THROUGH)
    second = drafts.write_drafts(root, samples.many(1), through=date(2026, 5, 3))
    assert first.hash == second.hash
    assert second.is_new
    assert drafts.read_summary(root).through == date(2026, 5, 3)
    assert drafts.read_previous(root) is None


def test_no_drafts_is_an_error_with_its_cure(root: DataRoot) -> None:
    with pytest.raises(drafts.NoDrafts, match=r"DRAFT-01.*\n.*\n.*fairbill run"):
        drafts.read_drafts(root)


def test_a_changed_byte_is_named(root: DataRoot) -> None:
    drafts.write_drafts(root, samples.many(1), through=THROUGH)
    path = drafts.current_files(root, "draft_invoice_lines")["billing_day=2026-05-01"]
    damaged = bytearray(path.read_bytes())
    damaged[100] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(drafts.DamagedDrafts, match=path.name):
        drafts.read_drafts(root)


def test_totals_are_by_currency() -> None:
    yen = Currency("JPY", 0)
    in_yen = replace(
        samples.initial("b"), currency=yen, lines=(samples.base_line(980, currency=yen),)
    )
    made = [samples.initial("a"), samples.initial("c"), in_yen]
    assert drafts.totals_of(made) == {"JPY": Decimal(980), "USD": Decimal("239.58")}


def lines_of(*invoices: Invoice) -> pl.DataFrame:
    return drafts.invoice_frames(invoices).lines


def summary_of(difference: pl.DataFrame) -> list[tuple[str, str, str]]:
    return difference.select("change", "line_type", "why").rows()


def test_lines_that_are_the_same_do_not_differ() -> None:
    lines = lines_of(*samples.many(3))
    assert drafts.diff_drafts(lines, lines).is_empty()


def test_a_changed_line_says_what_changed() -> None:
    before, after = samples.recurring("a"), samples.recurring("a", used=102_100)
    assert summary_of(drafts.diff_drafts(lines_of(before), lines_of(after))) == [
        (
            "changed",
            "feature_overage",
            "quantity 2000 -> 2100; used 102000 -> 102100",
        ),
        ("changed", "tax", "amount"),
    ]
    difference = drafts.diff_drafts(lines_of(before), lines_of(after))
    amounts = difference.select("amount_minor_before", "amount_minor_after").rows()
    assert amounts == [(2000, 2100), (2499, 2520)]


def test_a_line_above_moves_no_other_line() -> None:
    before = samples.recurring("a")
    credit = replace(samples.base_line(-100), type=samples.LineType.CREDIT, rule="CHG-5")
    after = replace(before, lines=(before.lines[0], credit, *before.lines[1:]))
    assert summary_of(drafts.diff_drafts(lines_of(before), lines_of(after))) == [
        ("new", "credit", "CHG-5")
    ]


def test_two_lines_alike_are_told_apart_by_their_order() -> None:
    line = samples.base_line(100)
    before = replace(samples.recurring("a"), lines=(line, line))
    after = replace(before, lines=(line, replace(line, amount=Money(200, samples.USD))))
    assert summary_of(drafts.diff_drafts(lines_of(before), lines_of(after))) == [
        ("changed", "plan_base", "amount")
    ]


def test_a_part_that_only_exact_text_shows_is_a_change() -> None:
    line = replace(samples.base_line(100), quantity=Fraction(1, 3))
    before = replace(samples.recurring("a"), lines=(line,))
    after = replace(before, lines=(replace(line, quantity=Fraction(333_333_333, 10**9)),))
    ((change, _, why),) = summary_of(drafts.diff_drafts(lines_of(before), lines_of(after)))
    assert (change, why) == ("changed", "quantity 1/3 -> 333333333/1000000000")


def test_a_posted_invoice_is_not_gone() -> None:
    posted, gone = samples.initial("a"), samples.initial("b")
    difference = drafts.diff_drafts(lines_of(posted, gone), lines_of(), booked=[posted.id])
    assert [change for change, _, _ in summary_of(difference)] == ["posted"] * 2 + ["gone"] * 2


def test_the_last_run_is_compared_with_the_one_before(root: DataRoot) -> None:
    drafts.write_drafts(root, [samples.recurring("a")], through=THROUGH)
    assert set(drafts.diff_of_last_run(root)["change"]) == {"new"}
    drafts.write_drafts(root, [samples.recurring("a", used=102_100)], through=THROUGH)
    drafts.write_drafts(root, [samples.recurring("a", used=102_100)], through=THROUGH)
    assert set(drafts.diff_of_last_run(root)["change"]) == {"changed"}
