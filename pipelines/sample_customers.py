"""Who the sample customers are and what they do: one seeded story each, as actions.

Most subscribe, add a few seats and pay. Some cancel, pay late or never, live in another
time zone, or have a name that a careless page would get wrong. What they use is in
`pipelines.generate`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

import numpy as np

from billing_core.period import billing_date, boundary, midnight
from pipelines.world import zones

PLANS = ("starter", "pro", "scale")
UNPAID, LATE = 7, 11
"""Of every 15 customers, the one that pays no renewal, and the one that pays 20 days late."""
CANCELS_AT_PERIOD_END, CANCELS_NOW = 8, 17
"""Of every 20 customers, the one that cancels at period end, and the one that cancels at once."""

Action = dict[str, object]


@dataclass(frozen=True, slots=True)
class Place:
    """Where customers of one country live, and how a company there is named."""

    country: str
    locale: str
    time_zone: str
    company: str
    words: tuple[str, ...]
    street: str
    towns: tuple[str, ...]


PLACES = (
    Place(
        "NL",
        "nl-NL",
        "Europe/Amsterdam",
        "{} B.V.",
        ("Windmolen", "Kaas & Kant", "Zuiderzee", "Fietsenmaker", "Tulpenveld", "IJssel Logistiek"),
        "Prinsengracht {}",
        ("1015 DX Amsterdam", "3511 LN Utrecht", "9712 HM Groningen"),
    ),
    Place(
        "DE",
        "de-DE",
        "Europe/Berlin",
        "{} GmbH",
        (
            "Grünwald Optik",
            "Müller & Söhne",
            "Straßenbau Nord",
            "Königsblau",
            "Elbwerk",
            "Hüttenberg",
        ),
        "Lindenstraße {}",
        ("10969 Berlin", "50674 Köln", "80331 München"),
    ),
    Place(
        "FR",
        "fr-FR",
        "Europe/Paris",
        "{} SARL",
        (
            "Café Étoile",
            "L’Atelier Noël",
            "Forêt Bleue",
            "Garçon & Fils",
            "Crème Brûlée",
            "Rivière",
        ),
        "12 bis, rue de l’Église {}",
        ("75011 Paris", "69002 Lyon", "33000 Bordeaux"),
    ),
    Place(
        "US",
        "en-US",
        "America/New_York",
        "{} Inc.",
        (
            "Blue Heron",
            "Granite State",
            "Lakeshore Labs",
            "Redwood",
            "Prairie Signal",
            "Harbor Light",
        ),
        "{} Main Street",
        ("Portland, OR 97204", "Austin, TX 78701", "Burlington, VT 05401"),
    ),
    Place(
        "CN",
        "zh-CN",
        "Asia/Shanghai",
        "{}有限公司",
        (
            "北京云图科技",
            "上海明月数据",
            "深圳海星网络",
            "杭州青山软件",
            "成都金牛信息",
            "广州木棉传媒",
        ),
        "中山路{}号",
        ("北京 100005", "上海 200001", "深圳 518000"),
    ),
)

TAX_IDS: Mapping[str, str] = {"NL": "NL123456782B90", "DE": "DE136695976", "FR": "FR40303265045"}


@dataclass(frozen=True, slots=True)
class Customer:
    """One sample customer: its plan, and the instants between which it uses anything.

    paid_at: the instant of the first payment, from which the subscription is active.
    """

    number: int
    customer_id: str
    place: Place
    time_zone: str
    zone: tzinfo
    plan: str
    paid_at: datetime
    ends_at: datetime

    @property
    def anchor(self) -> date:
        return billing_date(self.paid_at, self.zone)


def sample_customers(count: int, start: date, end: date, seed: int) -> list[Customer]:
    """The customers of a sample, whose usage lies in [start, end)."""
    random = np.random.default_rng([seed, 1])
    return [_customer(number, start, end, random) for number in range(1, count + 1)]


def _customer(number: int, start: date, end: date, random: np.random.Generator) -> Customer:
    place = PLACES[number % len(PLACES)]
    time_zone = place.time_zone if number % 3 == 0 else "UTC"
    zone = zones([time_zone])[time_zone]
    day = _first_day(number, start, end, random)
    minute = int(random.integers(9 * 60, 17 * 60))
    paid_at = datetime.combine(day, time(minute // 60, minute % 60), zone).astimezone(UTC)
    plan = PLANS[int(random.choice(3, p=[0.5, 0.35, 0.15]))]
    stop = midnight(end, UTC)
    cancelled = cancelled_at(number, day, zone)
    if cancelled is not None:
        stop = min(stop, cancelled[1])
    return Customer(number, f"cus-{number:05}", place, time_zone, zone, plan, paid_at, stop)


def _first_day(number: int, start: date, end: date, random: np.random.Generator) -> date:
    """The first of the sample for most; for some the 31st, for the others any day of two months."""
    thirty_first = next((day for day in _days(start, end) if day.day == 31), start)
    late = int(random.integers(1, max(2, min(60, (end - start).days // 2))))
    match number % 8:
        case 0:
            return thirty_first
        case 1 | 4 | 6 if number > 1:
            return start + timedelta(days=late)
        case _:
            return start


def cancelled_at(number: int, anchor: date, zone: tzinfo) -> tuple[datetime, datetime] | None:
    """When a customer asks to cancel in its second month, and when its access ends."""
    asked = midnight(boundary(anchor, 1), zone) + timedelta(days=9, hours=11)
    if number % 20 == CANCELS_AT_PERIOD_END:
        return asked, midnight(boundary(anchor, 2), zone)
    if number % 20 == CANCELS_NOW:
        return asked, asked
    return None


def _days(start: date, end: date) -> Iterator[date]:
    return (start + timedelta(days=n) for n in range((end - start).days))


def actions_of(customer: Customer, *, until: datetime, seed: int) -> list[Action]:
    """Everything that one customer does before an instant, in order of time.

    Each action has arrived at the instant at which it takes effect.
    """
    random = np.random.default_rng([seed, 2, customer.number])
    steps = [
        *_beginning(customer, random),
        *_seat_changes(customer, random),
        *_cancellation(customer),
        *_payments(customer, until, random),
    ]
    timed = sorted((step for step in steps if step[0] < until), key=lambda step: step[0])
    return [
        {
            "id": f"{customer.customer_id}-{place:03}",
            "at": _written(at),
            "received_at": _written(at),
            "actor": "system" if do == "payment" else "customer",
            "customer": customer.customer_id,
            "do": do,
            **fields,
        }
        for place, (at, do, fields) in enumerate(timed, start=1)
    ]


_Step = tuple[datetime, str, Action]


def _beginning(customer: Customer, random: np.random.Generator) -> Iterator[_Step]:
    """The account, the checkout ten minutes later, and its payment one minute after that."""
    paid_at, number = customer.paid_at, customer.number
    yield paid_at - timedelta(minutes=11), "create_customer", _described(customer, random)
    seats = {"editors": int(random.integers(3, 14)), "viewers": int(random.integers(0, 30))}
    checkout: Action = {"plan": customer.plan, "interval": "monthly"}
    yield (
        paid_at - timedelta(minutes=1),
        "subscribe",
        checkout | ({} if number % 4 == 0 else {"seats": seats}),
    )
    yield paid_at, "payment", _paid("initial", customer.anchor)


def _described(customer: Customer, random: np.random.Generator) -> Action:
    place, number = customer.place, customer.number
    word = place.words[number // len(PLACES) % len(place.words)]
    town = place.towns[int(random.integers(len(place.towns)))]
    described: Action = {
        "name": _name(number, place.company.format(word)),
        "email": f"billing@{customer.customer_id}.example",
        "country": place.country,
        "address": [place.street.format(int(random.integers(1, 400))), town],
        "locale": place.locale,
    }
    if place.country in TAX_IDS and number % 3:
        described["tax_id"] = TAX_IDS[place.country]
    if customer.time_zone != "UTC":
        described["time_zone"] = customer.time_zone
    return described


def _name(number: int, usual: str) -> str:
    """The usual name, but for one customer that tries what a page makes of HTML."""
    return '<b>Smith</b> & "Daughters" Ltd' if number == 3 else usual


def _seat_changes(customer: Customer, random: np.random.Generator) -> Iterator[_Step]:
    """Seats added in the middle of a month by two in five, and some given back by half of them."""
    if customer.number % 5 > 1 or customer.number % 4 == 0:
        return
    added_at = customer.paid_at + timedelta(days=int(random.integers(3, 45)), hours=1)
    if added_at < customer.ends_at:
        yield added_at, "add_seats", {"feature": "editors", "quantity": int(random.integers(1, 6))}
    removed_at = added_at + timedelta(days=8)
    if customer.number % 2 and removed_at < customer.ends_at:
        yield removed_at, "remove_seats", {"feature": "editors", "quantity": 1}


def _cancellation(customer: Customer) -> Iterator[_Step]:
    cancelled = cancelled_at(customer.number, customer.anchor, customer.zone)
    if cancelled is not None:
        when = "now" if cancelled[0] == cancelled[1] else "period_end"
        yield cancelled[0], "cancel", {"when": when}


def _payments(customer: Customer, until: datetime, random: np.random.Generator) -> Iterator[_Step]:
    """A payment of each renewal, a day or two after it; late or never by some."""
    if customer.number % 15 == UNPAID:
        return
    cancelled = cancelled_at(customer.number, customer.anchor, customer.zone)
    for month in range(1, 1000):
        day = boundary(customer.anchor, month)
        renewed_at = midnight(day, customer.zone)
        if renewed_at >= until or (cancelled is not None and renewed_at >= cancelled[1]):
            return
        delay = timedelta(hours=int(random.integers(26, 50)))
        late = timedelta(days=20 if customer.number % 15 == LATE else 0)
        yield renewed_at + delay + late, "payment", _paid("recurring", day)


def _paid(invoice_type: str, on: date) -> Action:
    return {"invoice": {"type": invoice_type, "on": on.isoformat()}, "result": "succeeded"}


def _written(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
