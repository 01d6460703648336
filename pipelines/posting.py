"""Posting: the drafts that were looked at become numbered invoices in the books.

What is posted is decided from values (`postable`, `numbered`); `post` reads, decides and
writes. Posting the same drafts again finds nothing left to post and changes nothing.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from string import Formatter

from billing_core.actions import Outcome
from billing_core.errors import BillingError
from billing_core.invoice import Invoice, in_time
from pipelines.books import (
    BookedState,
    Books,
    Inputs,
    PostedInvoice,
    Posting,
    inputs_of,
    read_books,
    unbooked,
    write_posting,
)
from pipelines.drafts import Drafts, read_drafts
from pipelines.frames import in_order
from pipelines.paths import DataRoot
from pipelines.publications import raise_if_not_drafted
from pipelines.writer import writer

NEVER = datetime.min.replace(tzinfo=UTC)


StatesOf = Callable[[Drafts, Books, Sequence[PostedInvoice]], Sequence[BookedState]]
"""What gives the states to keep: of the drafts, the books before, and what is posted now."""


class DraftsHaveChanged(BillingError):
    """The drafts are not the ones that were looked at. Rule PST-2."""

    code = "POST-01"

    def __init__(self, *, looked_at: str, now: str) -> None:
        super().__init__(
            what=f"the drafts have changed since you looked at them: {looked_at[:12]} was asked "
            f"for, and they are {now[:12]} now",
            where="the drafts of the last run",
            mend="look at what changed with `fairbill status`, then post the hash that it shows",
        )


class IssueDateGoesBack(BillingError):
    """An issue date before that of the last posting. Rule PST-6."""

    code = "POST-02"

    def __init__(self, *, issued_on: date, last: date) -> None:
        super().__init__(
            what=f"issue date {issued_on} lies before {last}, the date of the last posting",
            where="the issue date that was given",
            mend=f"post with {last} or a later date: nothing is posted into what is closed",
        )


class NumberFormat(BillingError):
    """A format that would give one number twice. Rule PST-2."""

    code = "POST-03"

    def __init__(self, text: str) -> None:
        super().__init__(
            what=f"the number format {text!r} does not hold exactly {{year}} and {{n}}",
            where="the catalog, seller.numbering.format",
            mend="write it like INV-{year}-{n:06}",
        )


class NumberIsTaken(BillingError):
    """A number that is in the books already. Rule PST-2."""

    code = "POST-04"

    def __init__(self, number: str) -> None:
        super().__init__(
            what=f"the number {number} was given before",
            where="the catalog, seller.numbering",
            mend="give each seller a format of its own, for example with another prefix",
        )


@dataclass(frozen=True, slots=True)
class Numbering:
    """How a seller numbers its invoices.

    seller: what tells sellers apart; each has its own gapless numbers in each year.
    next:   the number that the books begin with; every later year begins with 1.
    """

    seller: str
    format: str = "INV-{year}-{n:06}"
    next: int = 1

    def __post_init__(self) -> None:
        try:
            names = sorted(name for _, name, _, _ in Formatter().parse(self.format) if name)
            self.format.format(year=2026, n=1)
        except (ValueError, KeyError, IndexError, AttributeError) as error:
            raise NumberFormat(self.format) from error
        if names != ["n", "year"]:
            raise NumberFormat(self.format)

    def number(self, year: int, sequence: int) -> str:
        """The number as people read it.

        >>> Numbering("Example Labs").number(2026, 7)
        'INV-2026-000007'
        """
        return self.format.format(year=year, n=sequence)


@dataclass(frozen=True, slots=True)
class Posted:
    """What a call of `post` did. `invoices` is empty when there was nothing to post.

    left_out: customer -> why his drafts stay drafts.
    """

    posting: int | None
    invoices: tuple[PostedInvoice, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)


def post(
    root: DataRoot,
    *,
    draft_hash: str,
    issued_on: date,
    numbering: Numbering,
    payment_days: Mapping[str, int] | None = None,
    states_of: StatesOf | None = None,
    inputs: Inputs | None = None,
) -> Posted:
    """Post what can be posted of exactly the drafts that were looked at. Rules PST-2, PST-6.

    takes:  payment_days, of the customers who pay on terms, days after the issue date;
            states_of, what gives the states of the customers at their boundaries, kept as
            a cache; inputs, None to take the hashes of what lies there now.
    raises: DraftsHaveChanged, CatalogNotDrafted, IssueDateGoesBack, NumberIsTaken,
            DamagedBooks, NoDrafts, DamagedDrafts, WriterIsBusy, DiskIsFull. Nothing was
            posted then.
    """
    with writer(root):
        drafts, books = read_drafts(root), read_books(root)
        if drafts.summary.hash != draft_hash:
            raise DraftsHaveChanged(looked_at=draft_hash, now=drafts.summary.hash)
        raise_if_not_drafted(root, drafts.outcomes)
        chosen, left_out = postable(drafts, books)
        if not chosen:
            return Posted(None, (), left_out)
        if books.postings and issued_on < books.postings[-1].posted_on:
            raise IssueDateGoesBack(issued_on=issued_on, last=books.postings[-1].posted_on)
        invoices = numbered(
            chosen,
            books,
            numbering=numbering,
            issued_on=issued_on,
            payment_days=payment_days or {},
        )
        boundaries = _boundaries(chosen)
        posting = Posting(
            posted_on=issued_on,
            through=drafts.summary.through,
            draft_hash=draft_hash,
            inputs=inputs or inputs_of(root),
            invoices=invoices,
            outcomes=_decided(drafts.outcomes, books, boundaries),
            states=[] if states_of is None else states_of(drafts, books, invoices),
        )
        write_posting(root, posting)
        return Posted(len(books.postings) + 1, invoices, left_out)


def postable(drafts: Drafts, books: Books) -> tuple[tuple[Invoice, ...], dict[str, str]]:
    """The drafts that can be posted, in the order of their numbers, and who was left out.

    A customer's drafts go in order of time, none before an earlier one that cannot. Nobody
    with a fault or a hold is posted. Rules PST-4, PST-6, USE-8.
    """
    left_out = {fault.customer_id: f"{fault.code}: {fault.what}" for fault in drafts.faults}
    left_out |= {hold.customer_id: hold.reason for hold in drafts.holds}
    chosen = []
    for invoice in sorted(unbooked(books, drafts.invoices), key=in_time):
        if invoice.customer_id in left_out:
            continue
        if reason := _reason_to_wait(invoice, drafts.summary.through):
            left_out[invoice.customer_id] = reason
        else:
            chosen.append(invoice)
    return tuple(in_order(chosen)), dict(sorted(left_out.items()))


def numbered(
    invoices: Sequence[Invoice],
    books: Books,
    *,
    numbering: Numbering,
    issued_on: date,
    payment_days: Mapping[str, int],
) -> tuple[PostedInvoice, ...]:
    """Invoices with their numbers, without a gap, in the order given. Rule PST-2.

    raises: NumberIsTaken.
    """
    first = _first_sequence(books, numbering, issued_on.year)
    taken = {posted.number for posted in books.invoices}
    return tuple(
        PostedInvoice(
            invoice=invoice,
            posting=len(books.postings) + 1,
            number=_free(numbering.number(issued_on.year, sequence), taken),
            sequence=sequence,
            seller=numbering.seller,
            issued_on=issued_on,
            due_on=due_on(invoice.billing_day, issued_on, payment_days.get(invoice.customer_id)),
        )
        for sequence, invoice in enumerate(invoices, start=first)
    )


def due_on(billing_day: date, issued_on: date, payment_days: int | None) -> date:
    """The last day to pay: the billing day, or on terms so many days after the issue. PAY-1.

    Nobody owes before he is told: an invoice issued after its billing day is due on issue.

    >>> billing_day, issued_on = date(2026, 5, 1), date(2026, 5, 2)
    >>> [str(due_on(billing_day, issued_on, days)) for days in (None, 30)]
    ['2026-05-02', '2026-06-01']
    """
    if payment_days is None:
        return max(billing_day, issued_on)
    return issued_on + timedelta(days=payment_days)


def _reason_to_wait(invoice: Invoice, through: date) -> str | None:
    if not invoice.is_postable:
        return f"the {invoice.type} invoice of {invoice.billing_day} waits for its payment"
    if invoice.known_on > through:
        return f"usage up to {invoice.known_on} has not landed yet"
    return None


def _first_sequence(books: Books, numbering: Numbering, year: int) -> int:
    last = books.last_sequence(numbering.seller, year)
    if last is not None:
        return last + 1
    is_first_year = all(posted.seller != numbering.seller for posted in books.invoices)
    return numbering.next if is_first_year else 1


def _free(number: str, taken: Collection[str]) -> str:
    if number in taken:
        raise NumberIsTaken(number)
    return number


def _boundaries(invoices: Iterable[Invoice]) -> dict[str, datetime]:
    """The instant up to which each customer is posted now."""
    boundaries: dict[str, datetime] = {}
    for invoice in invoices:
        before = boundaries.get(invoice.customer_id, invoice.made_at)
        boundaries[invoice.customer_id] = max(before, invoice.made_at)
    return boundaries


def _decided(
    outcomes: Iterable[Outcome], books: Books, boundaries: Mapping[str, datetime]
) -> list[Outcome]:
    """The outcomes up to the customers' boundaries that are not in the books yet."""
    booked = {(outcome.action_id, outcome.customer_id) for outcome in books.outcomes}
    return [
        outcome
        for outcome in outcomes
        if outcome.customer_id is not None
        and outcome.at <= boundaries.get(outcome.customer_id, NEVER)
        and (outcome.action_id, outcome.customer_id) not in booked
    ]
