"""Posting promotes exactly the drafts that were looked at, once, with gapless numbers."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from billing_core.invoice import Invoice
from billing_core.state import Customer, CustomerState
from pipelines import posting
from pipelines.books import DamagedBooks, read_books
from pipelines.drafts import Hold, NoDrafts, write_drafts
from pipelines.issuing import payment_days
from pipelines.paths import DataRoot
from pipelines.posting import Numbering, Posted, post
from pipelines.standing import write_standing
from tests.billing_core.builders import instant, ladder, setting_of
from tests.pipelines import samples

THROUGH, ISSUED = date(2026, 5, 3), date(2026, 5, 4)


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    return DataRoot(tmp_path)


def post_drafts(root: DataRoot, invoices: list[Invoice], **drafted: object) -> Posted:
    summary = write_drafts(root, invoices, **{"through": THROUGH, **drafted})  # type: ignore[arg-type]
    return post(root, draft_hash=summary.hash, issued_on=ISSUED, numbering=samples.NUMBERING)


def numbers(posted: Posted) -> list[tuple[str, str]]:
    return [(it.number, it.invoice.id) for it in posted.invoices]


def test_numbers_go_by_day_customer_and_instant(root: DataRoot) -> None:
    later = replace(
        samples.recurring("a"),
        id="later",
        made_at=samples.midnight(samples.MAY.start).replace(hour=9),
    )
    made = [later, samples.recurring("b"), samples.recurring("a"), samples.initial("z")]
    assert numbers(post_drafts(root, made)) == [
        ("INV-2026-000001", samples.initial("z").id),
        ("INV-2026-000002", samples.recurring("a").id),
        ("INV-2026-000003", "later"),
        ("INV-2026-000004", samples.recurring("b").id),
    ]


def test_posting_again_changes_nothing(root: DataRoot) -> None:
    post_drafts(root, samples.many(3))
    before = {path: path.stat().st_mtime_ns for path in root.root.rglob("*")}
    again = post_drafts(root, samples.many(3))
    assert (again.posting, again.invoices) == (None, ())
    assert {path: path.stat().st_mtime_ns for path in root.books.rglob("*")} == {
        path: time for path, time in before.items() if root.books in path.parents
    }


def test_other_drafts_than_looked_at_are_not_posted(root: DataRoot) -> None:
    looked_at = write_drafts(root, [samples.recurring("a")], through=THROUGH).hash
    write_drafts(root, [samples.recurring("a", used=102_001)], through=THROUGH)
    with pytest.raises(posting.DraftsHaveChanged, match=r"POST-01.*\n.*\n.*fairbill status"):
        post(root, draft_hash=looked_at, issued_on=ISSUED, numbering=samples.NUMBERING)
    assert not root.books.exists()


def test_without_drafts_there_is_nothing_to_post(root: DataRoot) -> None:
    with pytest.raises(NoDrafts):
        post(root, draft_hash="", issued_on=ISSUED, numbering=samples.NUMBERING)


def test_nothing_is_posted_onto_damaged_books(root: DataRoot) -> None:
    post_drafts(root, [samples.initial("a")])
    (root.books / "000001" / "states.parquet").unlink()
    with pytest.raises(DamagedBooks):
        post_drafts(root, [samples.initial("b")])


# fmt: off
LEFT_OUT: dict[str, tuple[dict[str, object], str]] = {
    "a fault":   ({"faults": [samples.a_fault("a")]},  "PRICE-01: no price"),
    "a hold":    ({"holds": [Hold("a", "conflict")]},  "conflict"),
    "not landed yet": ({"through": date(2026, 4, 30)}, "usage up to 2026-05-01 has not landed yet"),
}
# fmt: on


@pytest.mark.parametrize(("drafted", "reason"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_left_out(drafted: dict[str, object], reason: str, root: DataRoot) -> None:
    posted = post_drafts(root, [samples.recurring("a"), samples.initial("b")], **drafted)
    assert [it.invoice.customer_id for it in posted.invoices] == ["b"]
    assert posted.left_out == {"a": reason}


def test_no_draft_is_posted_before_an_earlier_one(root: DataRoot) -> None:
    made = [samples.initial("a"), samples.recurring("a", cutoff=date(2026, 5, 9))]
    last = replace(samples.initial("a", date(2026, 5, 2)), period=samples.MAY)
    posted = post_drafts(root, [*made, last])
    assert [it.invoice.id for it in posted.invoices] == [made[0].id]
    assert list(posted.left_out) == ["a"]


def test_a_checkout_waits_for_its_payment(root: DataRoot) -> None:
    posted = post_drafts(root, [samples.checkout("a")])
    assert posted.left_out == {"a": "the initial invoice of 2026-04-01 waits for its payment"}
    paid = post_drafts(root, [samples.initial("a")])
    assert [it.invoice.id for it in paid.invoices] == [samples.checkout("a").id]


def test_numbers_go_on_where_the_books_end_and_start_anew_each_year(root: DataRoot) -> None:
    first = Numbering("Labs", "L-{year}-{n:03}", next=41)
    for day, name in ((date(2026, 5, 4), "a"), (date(2026, 6, 4), "b"), (date(2027, 1, 2), "c")):
        summary = write_drafts(root, [samples.recurring(name)], through=THROUGH)
        post(root, draft_hash=summary.hash, issued_on=day, numbering=first)
    assert [it.number for it in read_books(root).invoices] == [
        "L-2026-041",
        "L-2026-042",
        "L-2027-001",
    ]


def test_sellers_have_numbers_of_their_own(root: DataRoot) -> None:
    for seller, name in (("A", "a"), ("B", "b"), ("A", "c")):
        summary = write_drafts(root, [samples.recurring(name)], through=THROUGH)
        numbering = Numbering(seller, seller + "{year}-{n}")
        post(root, draft_hash=summary.hash, issued_on=ISSUED, numbering=numbering)
    assert [it.number for it in read_books(root).invoices] == ["A2026-1", "B2026-1", "A2026-2"]


def test_two_sellers_cannot_give_one_number(root: DataRoot) -> None:
    post_drafts(root, [samples.initial("a")])
    summary = write_drafts(root, [samples.initial("b")], through=THROUGH)
    with pytest.raises(posting.NumberIsTaken, match="INV-2026-000001"):
        post(root, draft_hash=summary.hash, issued_on=ISSUED, numbering=Numbering("Other"))


def test_issue_dates_do_not_go_back(root: DataRoot) -> None:
    post_drafts(root, [samples.initial("a")])
    summary = write_drafts(root, [samples.initial("b")], through=THROUGH)
    with pytest.raises(posting.IssueDateGoesBack, match=r"POST-02.*2026-05-03.*2026-05-04"):
        post(
            root,
            draft_hash=summary.hash,
            issued_on=ISSUED - timedelta(days=1),
            numbering=samples.NUMBERING,
        )


@pytest.mark.parametrize(
    "text", ["INV-{n}", "INV-{year}", "{year}-{n}-{m}", "{year.real}-{n}", "{year}{n:x}{", "{}{n}"]
)
def test_a_format_that_repeats_numbers_is_refused(text: str) -> None:
    with pytest.raises(posting.NumberFormat, match="POST-03"):
        Numbering("Labs", text)


def test_due_dates_are_on_terms_or_at_once(root: DataRoot) -> None:
    summary = write_drafts(root, [samples.initial("a"), samples.initial("b")], through=THROUGH)
    posted = post(
        root,
        draft_hash=summary.hash,
        issued_on=ISSUED,
        numbering=samples.NUMBERING,
        payment_days={"b": 30},
    )
    assert [it.due_on for it in posted.invoices] == [ISSUED, date(2026, 6, 3)]


PAYERS = {
    "none": Customer("none"),
    "terms": Customer("terms", collection="on_terms"),
    "days": Customer("days", payment_days=7),
    "card": Customer("card", collection="automatic"),
}
POLICIES: dict[str, dict[str, int]] = {
    # the policy's collection: days to pay, of the customers who pay on terms
    "automatic": {"terms": 14},
    "on_terms": {"none": 14, "terms": 14, "days": 7},
}


@pytest.mark.parametrize(("collection", "days"), POLICIES.items())
def test_days_to_pay_are_the_customers_or_the_policies(
    root: DataRoot, collection: str, days: dict[str, int]
) -> None:
    """Rule PAY-1."""
    states = [CustomerState(name, own) for name, own in PAYERS.items()]
    write_standing(root, states, setting_of(), instant("2026-05-03"))
    policies = {"collection": collection, "payment_days": "14"}
    assert payment_days(root, ladder(policies=policies)) == days


def test_any_cadence_gives_the_same_books(tmp_path: Path) -> None:
    at_once, in_parts = DataRoot(tmp_path / "1"), DataRoot(tmp_path / "2")
    invoices = sorted(samples.many(6), key=lambda invoice: invoice.billing_day)
    samples.draft_and_post(at_once, invoices)
    for end in (3, 6, 6, 12):
        samples.draft_and_post(in_parts, invoices[:end])
    together, parts = read_books(at_once).invoices, read_books(in_parts).invoices
    assert [replace(it, posting=0) for it in together] == [replace(it, posting=0) for it in parts]
