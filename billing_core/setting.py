"""What a fold is given besides the customer's own history: catalog versions, zones, usage.

A setting is the same for many customers. Everything of the outside world (currencies,
zone data, what has been booked) is in it as a value, so that the fold asks for nothing.
"""

from bisect import bisect_right
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, tzinfo
from typing import TypeVar

from billing_core.catalog import Catalog, Interval, Plan, Policies
from billing_core.currencies import effective_day, rate_days, rate_on
from billing_core.errors import BillingError
from billing_core.invoice import Invoice
from billing_core.money import Currency
from billing_core.period import cutoff_day
from billing_core.terms import AddonTerms, NoPriceInCurrency, Terms, addon_terms, terms_of
from billing_core.usage import Usage


class NoCatalogInForce(BillingError):
    """Something happened before the first catalog version came into force."""

    code = "CATALOG-50"

    def __init__(self, at: datetime, first: datetime) -> None:
        super().__init__(
            what=f"no catalog version is in force at {at:%Y-%m-%dT%H:%M:%SZ}",
            where=f"the catalog; its first version begins at {first:%Y-%m-%dT%H:%M:%SZ}",
            mend="add a version with an earlier effective_at, or correct the action's `at`",
        )


class UnknownTimeZone(BillingError):
    """A customer or a catalog names a time zone that does not exist."""

    code = "ZONE-01"

    def __init__(self, name: str) -> None:
        super().__init__(
            what=f"time zone {name!r} is unknown",
            where="the customer's time_zone, or policies.billing_time_zone of the catalog",
            mend="use an IANA name such as Europe/Amsterdam; update_customer corrects it",
        )


PlanKey = tuple[str, str | None, str]
"""Plan, interval (None of a free plan) and currency: what terms are had by."""


@dataclass(frozen=True, slots=True)
class CatalogVersion:
    """A catalog and the instant from which it is in force. Rule CAT-1.

    terms:  what it gives on its first day, for each (plan, interval, currency) that it prices.
    later:  from which days on another exchange rate makes others of them, in order.
    addons: what it gives on its first day, for each (add-on, currency).
    """

    effective_at: datetime
    catalog: Catalog
    terms: Mapping[PlanKey, Terms]
    addons: Mapping[tuple[str, str], AddonTerms] = field(default_factory=dict)
    later: Mapping[PlanKey, tuple[tuple[date, Terms], ...]] = field(default_factory=dict)

    def terms_on(self, plan: str, interval: str | None, currency: str, *, on: date) -> Terms | None:
        """What a new period that begins on a day gets; None where it is not priced. CUR-2."""
        key = (plan, interval, currency)
        last = next((it for day, it in reversed(self.later.get(key, ())) if day <= on), None)
        return last or self.terms.get(key)

    def terms_in(
        self, plan: str, interval: str | None, currency: Currency, *, on: date
    ) -> Terms | None:
        """The terms of a plan for somebody who pays in a currency; None where it has none.

        A free plan without a price of any kind is the same in every currency.
        """
        found = self.terms_on(plan, interval, currency.code, on=on)
        if found is not None or interval is not None:
            return found
        own = self.terms.get((plan, None, self.catalog.currency))
        if own is None or any(feature.price is not None for feature in own.features):
            return None
        return replace(own, currency=currency)

    def terms_like(self, own: Terms) -> Terms | None:
        """What the version offers to a running period, at the rate of that period. CUR-2."""
        on = effective_day(self.catalog)
        offered = self.terms_in(own.plan, own.interval, own.currency, on=on)
        if offered is None or own.exchange_rate in (None, offered.exchange_rate):
            return offered
        prices = self.catalog.plans[own.plan].prices
        interval = next(name for name in prices if name == own.interval)
        return terms_of(self.catalog, own.plan, interval, own.currency, rate=own.exchange_rate)

    def addon_for(self, code: str, own: Terms) -> AddonTerms | None:
        """An add-on for a period with some terms, at its rate; None where it has no price.

        rule: CAT-4, CUR-2.
        """
        name, rate = own.currency.code, own.exchange_rate
        if code not in self.catalog.addons:
            return None
        if rate == rate_on(self.catalog, name, effective_day(self.catalog)):
            return self.addons.get((code, name))
        with suppress(NoPriceInCurrency):
            return addon_terms(self.catalog, code, own.currency, rate=rate)
        return None


@dataclass(frozen=True, slots=True)
class PlanDeletion:
    """A plan that was deleted, for all who have it. Rule CAT-8.

    at: from when on; to: the plan with which they go on, None where their subscriptions end.
    """

    id: str
    at: datetime
    plan: str
    to: str | None


def catalog_version(
    effective_at: datetime, catalog: Catalog, currencies: Mapping[str, Currency]
) -> CatalogVersion:
    """A version with the terms of all its plans worked out, once for all customers."""
    terms: dict[PlanKey, DatedTerms] = {}
    for code in catalog.plans:
        terms |= _plan_terms(catalog, code, currencies)
    version = _version(effective_at, catalog, terms)
    return replace(version, addons=_addons(version))


def _addons(version: CatalogVersion) -> dict[tuple[str, str], AddonTerms]:
    """The terms of each add-on in each currency that a plan is sold in, on the first day."""
    catalog, found = version.catalog, {}
    sold = {terms.currency for terms in version.terms.values()}
    for currency in sorted(sold, key=lambda it: it.code):
        rate = rate_on(catalog, currency.code, effective_day(catalog))
        for code in catalog.addons:
            with suppress(NoPriceInCurrency):
                terms = addon_terms(catalog, code, currency, rate=rate)
                if terms is not None:
                    found[code, currency.code] = terms
    return found


def with_plan(version: CatalogVersion, catalog: Catalog, code: str) -> CatalogVersion:
    """A version with another content of one plan, which is what differs in the catalog."""
    currencies = {terms.currency.code: terms.currency for terms in version.terms.values()}
    own = _version(version.effective_at, catalog, _plan_terms(catalog, code, currencies))
    return replace(
        own,
        addons=version.addons,
        terms={**_without(version.terms, code), **own.terms},
        later={**_without(version.later, code), **own.later},
    )


DatedTerms = tuple[tuple[date, Terms], ...]
"""Terms from each day on that has an exchange rate of its own, the first day first."""

Value = TypeVar("Value")


def _without(by_key: Mapping[PlanKey, Value], code: str) -> dict[PlanKey, Value]:
    return {key: value for key, value in by_key.items() if key[0] != code}


def _version(
    effective_at: datetime, catalog: Catalog, dated: Mapping[PlanKey, DatedTerms]
) -> CatalogVersion:
    terms = {key: own[0][1] for key, own in dated.items()}
    later = {key: own[1:] for key, own in dated.items() if len(own) > 1}
    return CatalogVersion(effective_at, catalog, terms, later=later)


def _plan_terms(
    catalog: Catalog, code: str, currencies: Mapping[str, Currency]
) -> dict[PlanKey, DatedTerms]:
    """What a plan gives, for each interval and currency that it can be had in.

    That is the catalog's currency and those of its price; what has no price of its own there
    is converted. It cannot be had in a currency that is not among those given, nor where a
    rate is missing, which no version lacks that was read. rule: CUR-1, CUR-2, CUR-3.
    """
    plan, first = catalog.plans[code], effective_day(catalog)
    dated: dict[PlanKey, DatedTerms] = {}
    if plan.free:
        own = currencies[catalog.currency]
        dated[code, None, own.code] = ((first, terms_of(catalog, code, None, own)),)
    for interval, price in plan.prices.items():
        for name in sorted({catalog.currency, *price.currencies} & currencies.keys()):
            days = (first, *rate_days(catalog, name))
            with suppress(NoPriceInCurrency):
                dated[code, interval, name] = tuple(
                    (day, _terms_on(catalog, code, interval, currencies[name], day)) for day in days
                )
    return dated


def _terms_on(
    catalog: Catalog, code: str, interval: Interval, currency: Currency, on: date
) -> Terms:
    rate = rate_on(catalog, currency.code, on)
    return terms_of(catalog, code, interval, currency, rate=rate)


NEVER = datetime.min.replace(tzinfo=UTC)
"""Before everything: the instant of what has not happened."""


@dataclass(frozen=True, slots=True)
class Setting:
    """The world of a fold.

    versions:          in order of effective_at.
    local_currencies:  country -> its currency, by which a subscription's is chosen (CUR-1).
    zones:             by IANA name; holds the billing time zones of all versions.
    usage:             snapshots by window and cutoff; missing ones count as not metered.
    booked:            posted invoices of the customer by id; they come out as they are.
    booked_through_at: the instant of the boundary or action that made the last of them.
    numbers:           number of a posted invoice -> its id.
    due_on:            id of a posted invoice -> its last day to pay.
    known_on:          the last landing day that is known.
    takes_later_usage: drafts are rated with all that is known (a run), or as at their own
                       cutoff (a scenario, where an invoice counts as posted then). USE-8.
    late_through:      the last landing day on which something came in late (a scenario):
                       what is not posted by then takes it in.
    deletions:         of plans, in order of their instants (CAT-8).
    without_place:     ids of `subscribe` actions whose code with a cap has no place left (PRM-2).
    assumes_payment:   every invoice is paid when it is made (a scenario, a preview).
    """

    versions: tuple[CatalogVersion, ...]
    zones: Mapping[str, tzinfo]
    usage: Usage = field(default_factory=dict)
    booked: Mapping[str, Invoice] = field(default_factory=dict)
    booked_through_at: datetime = NEVER
    numbers: Mapping[str, str] = field(default_factory=dict)
    due_on: Mapping[str, date] = field(default_factory=dict)
    known_on: date = date.max
    takes_later_usage: bool = False
    local_currencies: Mapping[str, str] = field(default_factory=dict)
    late_through: date = date.min
    deletions: tuple[PlanDeletion, ...] = ()
    without_place: frozenset[str] = frozenset()
    assumes_payment: bool = False

    def version_at(self, at: datetime) -> CatalogVersion:
        """The catalog version in force at an instant. Rule CAT-1."""
        place = bisect_right(self.versions, at, key=lambda version: version.effective_at)
        if not place:
            raise NoCatalogInForce(at, self.versions[0].effective_at)
        return self.versions[place - 1]

    def plan_at(self, code: str, at: datetime) -> Plan | None:
        """A plan that can be chosen at an instant; None where there is none, or it is deleted.

        rule: CAT-1, CAT-8.
        """
        deleted = self.deletion_of(code)
        if deleted is not None and deleted.at <= at:
            return None
        return self.version_at(at).catalog.plans.get(code)

    def deletion_of(self, plan: str) -> PlanDeletion | None:
        """The deletion of a plan, whenever it was. Rule CAT-8: a plan is deleted once."""
        return next((it for it in self.deletions if it.plan == plan), None)

    def policies_at(self, at: datetime) -> Policies:
        """The switches in force at an instant. Rule CAT-14."""
        return self.version_at(at).catalog.policies

    def zone_of(self, time_zone: str | None, at: datetime) -> tzinfo:
        """The billing time zone: the customer's own, or the catalog's. Rule CNV-1.

        raises: UnknownTimeZone.
        """
        name = self.zone_name(time_zone, at)
        if name not in self.zones:
            raise UnknownTimeZone(name)
        return self.zones[name]

    def zone_name(self, time_zone: str | None, at: datetime) -> str:
        """The name of the billing time zone: the customer's own, or the catalog's. CNV-1."""
        return time_zone or self.policies_at(at).billing_time_zone

    def cutoff_on(self, end_at: datetime) -> date:
        """The last landing day that an invoice of a window is rated with. Rule USE-8."""
        own = cutoff_day(end_at, self.policies_at(end_at).grace_hours)
        return max(own, self.known_on if self.takes_later_usage else self.late_through)

    def known_at(self, at: datetime) -> date:
        """The last landing day that an invoice without a window knows of: it waits for none."""
        return max(at.date(), self.known_on) if self.takes_later_usage else at.date()
