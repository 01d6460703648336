"""What a change of each field of the catalog means: for whom it is better, and when it counts.

A table over the fields of the schema, by their path with `*` for codes; a field that is not
in it cannot be compared. Which fields differ between two versions is `catalog_diff`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from billing_core.catalog import Tier


class Verdict(StrEnum):
    """What a change is for customers. Rules FAIR-1 to FAIR-3."""

    BENEFIT = "benefit"
    HARM = "harm"
    NEUTRAL = "neutral"


class Reach(StrEnum):
    """When a change counts, and for whom. Rules FAIR-1, FAIR-6, CAT-14, ADD-5."""

    AT_ONCE = "at once"
    RENEWAL = "at each customer's renewal"
    NEW = "new subscriptions only"
    PURCHASES = "new purchases only"
    BILLING_DAY = "invoices of its days"
    NOBODY = "nobody's terms"
    REFUSED = "the version is refused"


Judge = Callable[[Any, Any], Verdict]
"""What an old and a new value are to a customer; None where there was or is nothing."""


@dataclass(frozen=True, slots=True)
class FieldRule:
    """How changes of a field are read: who gains, when it counts, and by which rule.

    better, worse: when a change counts that helps, and one that hurts or does neither.
    """

    judge: Judge
    better: Reach
    worse: Reach
    rule: str

    def reach(self, verdict: Verdict) -> Reach:
        """When a change with this verdict counts."""
        return self.better if verdict is Verdict.BENEFIT else self.worse


def neither(_old: object, _new: object) -> Verdict:
    """A change that is neither better nor worse by itself: a name, a text."""
    return Verdict.NEUTRAL


def more(old: Any, new: Any) -> Verdict:
    """More is better; nothing is 0.

    >>> str(more(None, Decimal(5))), str(more(Decimal(9), Decimal(5)))
    ('benefit', 'harm')
    """
    return _compared(old or 0, new or 0)


def less(old: Any, new: Any) -> Verdict:
    """Less is better; nothing is 0."""
    return _compared(new or 0, old or 0)


def capped(old: Any, new: Any) -> Verdict:
    """A lower cap of what is charged is better; none is the worst."""
    if old is None or new is None:
        return Verdict.BENEFIT if old is None else Verdict.HARM
    return _compared(new, old)


def lasting(old: Any, new: Any) -> Verdict:
    """Longer is better; None is without end."""
    if old is None or new is None:
        return Verdict.HARM if old is None else Verdict.BENEFIT
    return _compared(old, new)


def wider(old: Any, new: Any) -> Verdict:
    """More plans are better; none named are all."""
    if not old or not new:
        return Verdict.HARM if not old else Verdict.BENEFIT
    if set(old) < set(new):
        return Verdict.BENEFIT
    return Verdict.HARM if set(old) > set(new) else Verdict.NEUTRAL


def granted(old: Any, new: Any) -> Verdict:
    """More is better; what is added as a whole helps, what is removed hurts."""
    return _compared(0 if old is None else 1, 0 if new is None else 1)


def withdrawn(_old: Any, new: Any) -> Verdict:
    """What is added takes nothing from anybody; what is removed hurts."""
    return Verdict.HARM if new is None else Verdict.NEUTRAL


def one_of(best: object) -> Judge:
    """A switch of which one value is the better one; any other way is worse, or neither."""

    def judge(old: object, new: object) -> Verdict:
        if new == best:
            return Verdict.BENEFIT
        return Verdict.HARM if old == best else Verdict.NEUTRAL

    return judge


def tiers(old: tuple[Tier, ...], new: tuple[Tier, ...]) -> Verdict:
    """Prices tier by tier where the bounds stay; other bounds may help or hurt."""
    if [tier.up_to for tier in old or ()] != [tier.up_to for tier in new or ()]:
        return Verdict.NEUTRAL
    prices = [
        (was, now)
        for a, b in zip(old, new, strict=True)
        for was, now in ((a.unit_price, b.unit_price), (a.flat, b.flat))
    ]
    verdicts = {_compared(now, was) for was, now in prices} - {Verdict.NEUTRAL}
    return verdicts.pop() if len(verdicts) == 1 else Verdict.NEUTRAL


def _compared(low: Any, high: Any) -> Verdict:
    """A benefit where the second is the greater."""
    if low == high:
        return Verdict.NEUTRAL
    return Verdict.BENEFIT if Decimal(high) > Decimal(low) else Verdict.HARM


AT_ONCE, RENEWAL, NEW, PURCHASES = Reach.AT_ONCE, Reach.RENEWAL, Reach.NEW, Reach.PURCHASES
BILLING_DAY, NOBODY, REFUSED = Reach.BILLING_DAY, Reach.NOBODY, Reach.REFUSED


def _fair(judge: Judge, rule: str = "FAIR-2") -> FieldRule:
    """What helps is there at once, what hurts waits."""
    return FieldRule(judge, AT_ONCE, RENEWAL, rule)


def _at(reach: Reach, judge: Judge, rule: str) -> FieldRule:
    return FieldRule(judge, reach, reach, rule)


TEXT = _at(NOBODY, neither, "CAT-1")
TAX_CATEGORY = _at(BILLING_DAY, neither, "TAX-2")

_OVERAGE: Final[Mapping[str, FieldRule]] = {
    "": _at(RENEWAL, neither, "FAIR-9"),
    ".model": _at(RENEWAL, neither, "FAIR-4"),
    ".mode": _at(RENEWAL, neither, "FAIR-9"),
    ".block": _at(RENEWAL, one_of("soft"), "FAIR-9"),
    ".size": _at(RENEWAL, more, "FAIR-3"),
    ".free_units": _at(RENEWAL, more, "FAIR-3"),
    ".rate_bp": _at(RENEWAL, less, "FAIR-3"),
    ".currencies.*": _at(RENEWAL, neither, "CUR-2"),
    **{
        f"{place}.{key}": _at(RENEWAL, judge, "FAIR-3")
        for place in ("", ".currencies.*")
        for key, judge in (
            ("unit_price", less),
            ("price", less),
            ("tiers", tiers),
            ("minimum_amount", less),
            ("maximum_amount", capped),
        )
    },
}
_HELD: Final[Mapping[str, FieldRule]] = {
    ".included": _fair(more),
    ".unlimited": _fair(one_of(True), "FAIR-9"),
    ".credits_per_unit": _fair(less, "CRD-3"),
    ".pricing": _at(RENEWAL, neither, "FAIR-3"),
    ".margin_bp": _at(RENEWAL, less, "FAIR-4"),
    **{f".overage{key}": rule for key, rule in _OVERAGE.items()},
}
_OFFER: Final[Mapping[str, FieldRule]] = {
    "": _at(NEW, granted, "OFR-2"),
    ".type": _at(NEW, neither, "OFR-2"),
    ".value": _at(NEW, more, "OFR-2"),
    ".cycles": _at(NEW, more, "OFR-2"),
}
_PLAN: Final[Mapping[str, FieldRule]] = {
    "": FieldRule(withdrawn, NEW, RENEWAL, "CAT-8"),
    ".name": TEXT,
    ".consumption_model": _at(RENEWAL, neither, "FAIR-4"),
    ".public": _at(NEW, one_of(True), "CAT-7"),
    ".free": _at(RENEWAL, one_of(True), "FAIR-3"),
    ".block_on_exhaustion": _at(RENEWAL, neither, "BAL-2"),
    ".tax_category": TAX_CATEGORY,
    ".prices.*": FieldRule(withdrawn, NEW, RENEWAL, "FAIR-3"),
    ".prices.*.amount": _at(RENEWAL, less, "FAIR-3"),
    ".prices.*.trial_days": _at(NEW, more, "OFR-2"),
    ".prices.*.included_credits": FieldRule(more, AT_ONCE, RENEWAL, "FAIR-5"),
    ".prices.*.included_balance": FieldRule(more, AT_ONCE, RENEWAL, "FAIR-5"),
    ".prices.*.currencies.*": FieldRule(withdrawn, NEW, RENEWAL, "CUR-1"),
    ".prices.*.currencies.*.amount": _at(RENEWAL, less, "FAIR-3"),
    ".features.*": _fair(granted),
    ".features.*.enabled": _fair(one_of(True)),
    **{
        f".prices.*{place}.intro_offer{key}": rule
        for place in ("", ".currencies.*")
        for key, rule in _OFFER.items()
    },
    **{f".features.*{key}": rule for key, rule in _HELD.items()},
}
_FEATURE: Final[Mapping[str, FieldRule]] = {
    "": _at(NOBODY, neither, "CAT-2"),
    ".name": TEXT,
    ".dimensions": _at(NOBODY, neither, "CAT-11"),
    ".tax_category": TAX_CATEGORY,
    **{
        f".{key}": _at(REFUSED, neither, "CAT-2")
        for key in ("type", "unit", "event_unit", "per", "aggregation", "property", "measure")
    },
}
_ADDON: Final[Mapping[str, FieldRule]] = {
    "": FieldRule(withdrawn, PURCHASES, REFUSED, "ADD-5"),
    ".name": TEXT,
    ".feature": _at(RENEWAL, neither, "ADD-1"),
    ".model": _at(RENEWAL, neither, "ADD-1"),
    ".price": _at(RENEWAL, less, "FAIR-3"),
    ".currencies.*": _at(RENEWAL, neither, "CUR-2"),
    ".currencies.*.price": _at(RENEWAL, less, "FAIR-3"),
    ".tax_category": TAX_CATEGORY,
    **_HELD,
}


def _sold(**fields: Judge) -> dict[str, FieldRule]:
    """What is bought once: changes reach new purchases alone. Rule FAIR-6."""
    judges: dict[str, Judge] = {"name": neither, "price": less, **fields}
    rules = {f".{key}": _at(PURCHASES, judge, "FAIR-6") for key, judge in judges.items()}
    return rules | {
        "": _at(PURCHASES, granted, "FAIR-6"),
        ".currencies.*": _at(PURCHASES, neither, "CUR-2"),
        ".currencies.*.price": _at(PURCHASES, less, "FAIR-6"),
        ".tax_category": TAX_CATEGORY,
    }


_PROMO: Final[Mapping[str, FieldRule]] = {
    f"{key}": _at(NEW, judge, "PRM-2")
    for key, judge in {
        "": granted,
        ".type": neither,
        ".value": more,
        ".cycles": lasting,
        ".plans": wider,
        ".max_redemptions": lasting,
        ".expires_at": neither,
        ".active": one_of(True),
    }.items()
}
_POLICIES: Final[Mapping[str, Judge]] = {
    "billing_time_zone": neither,
    "unit_price_decrease_immediate": one_of(True),
    "late_actions": neither,
    "checkout_days": more,
    "credit_extra_seats_on_upgrade": one_of(True),
    "seat_price_is_monthly": one_of(False),
    "on_conflict": neither,
    "grace_hours": neither,
    "late_usage": one_of("waive"),
    "late_usage_windows": neither,
    "token_cost_rounding": one_of("exact"),
    "engine_changes": neither,
    "collection": neither,
    "payment_days": more,
    "dunning_offsets_hours": neither,
}
_STORE: Final[Mapping[str, FieldRule]] = {
    "creators.*": _at(NOBODY, neither, "STO-1"),
    "creators.*.name": TEXT,
    **{
        f"items.*{key}": rule
        for key, rule in _sold(
            creator=neither,
            kind=neither,
            licence_days=lasting,
            interval=neither,
            on_sale=neither,
            audit=neither,
        ).items()
    },
    **{
        f"items.*.audit.{key}": _at(PURCHASES, neither, "STO-2")
        for key in (
            "css_kb",
            "fcp_s",
            "tti_s",
            "fps",
            "contrast",
            "keyboard",
            "focus",
            "screen_reader",
            "reduced_motion",
        )
    },
    **{
        f"bundles.*{key}": rule
        for key, rule in _sold(items=neither, licence_days=lasting, on_sale=neither).items()
    },
    "revenue_share.tiers": _at(NOBODY, neither, "REV-1"),
    "revenue_share.cap_per_month": _at(NOBODY, neither, "REV-1"),
    "revenue_share.payout_minimum": _at(NOBODY, neither, "REV-2"),
}


def _under(prefix: str, rules: Mapping[str, FieldRule]) -> Iterator[tuple[str, FieldRule]]:
    for key, rule in rules.items():
        yield f"{prefix}{key}", rule


RULES: Final[Mapping[str, FieldRule]] = {
    "catalog": TEXT,
    "effective_at": TEXT,
    "currency": _at(NEW, neither, "CUR-1"),
    **{
        f"seller.{key}": _at(BILLING_DAY, neither, "TAX-1")
        for key in ("name", "country", "tax_id", "address", "email", "iban", "bic")
    },
    "seller.numbering.format": _at(BILLING_DAY, neither, "PST-2"),
    "seller.numbering.next": _at(NOBODY, neither, "PST-2"),
    **{f"policies.{key}": _at(AT_ONCE, judge, "CAT-14") for key, judge in _POLICIES.items()},
    **dict(_under("features.*", _FEATURE)),
    "groups.*": _at(AT_ONCE, neither, "CAT-6"),
    **dict(_under("plans.*", _PLAN)),
    **dict(_under("addons.*", _ADDON)),
    **dict(_under("credit_packs.*", _sold(credits=more))),
    **dict(
        _under(
            "capacity_packs.*",
            _sold(valid_days=more)
            | {
                ".grants.*": _at(PURCHASES, more, "FAIR-6"),
            },
        )
    ),
    **dict(
        _under(
            "quota_packs.*",
            _sold(
                feature=neither, slots=more, mode=neither, valid_days=lasting, term_months=neither
            ),
        )
    ),
    **dict(_under("promo_codes.*", _PROMO)),
    "ai_models.*": _at(AT_ONCE, withdrawn, "AI-2"),
    **{
        f"ai_models.*.{key}": _at(AT_ONCE, less, "AI-2")
        for key in ("input", "output", "cache_read", "cache_write")
    },
    **dict(_under("store.", _STORE)),
    "tax.*": _at(BILLING_DAY, neither, "CAT-14"),
    "tax.*.rate_bp": _at(BILLING_DAY, less, "CAT-14"),
    "exchange_rates.*": _at(RENEWAL, neither, "CUR-2"),
    "exchange_rates.*.rate": _at(RENEWAL, less, "CUR-2"),
    "exchange_rates.*.source": TEXT,
}
"""The rule of each field, by its path; an empty end is a whole that is added or removed."""

REASONS: Final[Mapping[str, str]] = {
    "ADD-1": "what an add-on brings is what it was until the next period",
    "ADD-5": "an add-on is not withdrawn while customers have it; a new one is there to activate",
    "AI-2": "token prices are the vendor's and follow the event's instant, up or down",
    "BAL-2": "whether use beyond the balance is blocked or charged stays for the period",
    "CAT-1": "a text, which is no term",
    "CAT-2": "how a feature is counted cannot change; another feature needs a plan to be used",
    "CAT-6": "the group decides where a customer may move from then on",
    "CAT-7": "a hidden plan is kept by who has it and had by nobody else",
    "CAT-8": "a plan is ended with delete_plan, or its renewals fail; a new one is there to choose",
    "CAT-11": "how use is split in reports, never part of a price",
    "CAT-14": "policies and tax rows count from their day on",
    "CRD-3": "a lower cost in credits counts from its instant, a higher one waits for renewal",
    "CUR-1": "a subscription keeps its currency",
    "CUR-2": "the rate of the day on which a period begins counts for all of it",
    "FAIR-2": "what helps is there at once, what hurts waits for renewal",
    "FAIR-3": "prices wait for renewal, up or down",
    "FAIR-4": "what is neither a benefit by itself stays as at the start of the period",
    "FAIR-5": "more is added to what is left at once, less comes with the next period",
    "FAIR-6": "a new price counts for new purchases; what was bought is untouched",
    "FAIR-9": "unlimited helps at once; the overage clause waits for renewal",
    "OFR-2": "an offer is kept with the subscription that began with it",
    "PRM-2": "a code's terms are frozen when it is redeemed",
    "PST-2": "invoices that are posted from then on",
    "REV-1": "a creator's share, no customer's price",
    "REV-2": "a creator's payout, no customer's price",
    "STO-1": "what the store shows",
    "STO-2": "an item whose audit fails is not sold; licences already sold stay",
    "TAX-1": "the seller on invoices from then on",
    "TAX-2": "tax of invoices from then on",
}
"""Why a change counts when it does, in a sentence for each rule of the table."""
