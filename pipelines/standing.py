"""Where each customer stands after a run: customer, subscription, what is unpaid.

These tables are read by analysts and reports. They are made of the fold's states and are
never read back: the states themselves are in the books.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from billing_core.money import Money
from billing_core.setting import Setting
from billing_core.standing import scheduled
from billing_core.state import CustomerState, Subscription
from pipelines.datasets import PartitionFile, write_partition
from pipelines.frames import INSTANT, QUANTITY, Schema, readable, table
from pipelines.paths import DataRoot

CUSTOMERS: Schema = {
    "customer_id": pl.String,
    "country": pl.String,
    "time_zone": pl.String,
    "is_tax_id_valid": pl.Boolean,
    "is_taxed": pl.Boolean,
    "collection": pl.String,
    "payment_days": pl.Int32,
}
"""One row a customer, by customer_id; no personal data."""

SUBSCRIPTIONS: Schema = {
    "subscription_id": pl.String,
    "customer_id": pl.String,
    "status": pl.String,
    "plan": pl.String,
    "plan_name": pl.String,
    "consumption_model": pl.String,
    "interval": pl.String,
    "is_free": pl.Boolean,
    "currency": pl.String,
    "plan_price": QUANTITY,
    "anchor_on": pl.Date,
    "period_start": pl.Date,
    "period_end": pl.Date,
    "window_start": pl.Date,
    "window_end": pl.Date,
    "cancel_on": pl.Date,
    "cancel_reason": pl.String,
    "next_plan": pl.String,
    "next_interval": pl.String,
    "expires_at": INSTANT,
    "checkout_total": QUANTITY,
    "is_negotiated": pl.Boolean,
    "negotiated_until": INSTANT,
    "trial_ends_at": INSTANT,
}
"""One row a customer's present or last subscription, by (customer_id, subscription_id)."""

BALANCES: Schema = {
    "invoice_id": pl.String,
    "customer_id": pl.String,
    "currency": pl.String,
    "paid_minor": pl.Int64,
    "refunded_minor": pl.Int64,
    "credited_minor": pl.Int64,
    "written_off_minor": pl.Int64,
    "unpaid_minor": pl.Int64,
    "paid": QUANTITY,
    "refunded": QUANTITY,
    "credited": QUANTITY,
    "written_off": QUANTITY,
    "unpaid": QUANTITY,
    "is_uncollectible": pl.Boolean,
}
"""One row an invoice that was made, by invoice_id: what was paid of it. Rule PAY-2."""

PAYMENTS: Schema = {
    "action_id": pl.String,
    "customer_id": pl.String,
    "invoice_id": pl.String,
    "taken_at": INSTANT,
    "result": pl.String,
    "currency": pl.String,
    "amount_minor": pl.Int64,
    "amount": QUANTITY,
    "settled": QUANTITY,
    "settlement_currency": pl.String,
}
"""One row a payment result or refund, by (taken_at, action_id). Rules CUR-1, PAY-2."""

OPENING: Schema = {
    "customer_id": pl.String,
    "invoice": pl.String,
    "currency": pl.String,
    "amount": QUANTITY,
    "paid": QUANTITY,
    "refunded": QUANTITY,
    "written_off": QUANTITY,
    "unpaid": QUANTITY,
    "due_on": pl.Date,
}
"""One row an invoice of another system, by (customer_id, invoice): what is unpaid of it. PAY-2."""

ADDONS: Schema = {
    "customer_id": pl.String,
    "subscription_id": pl.String,
    "addon": pl.String,
    "addon_name": pl.String,
    "feature": pl.String,
    "currency": pl.String,
    "price": QUANTITY,
    "is_active": pl.Boolean,
    "is_paid": pl.Boolean,
}
"""One row an add-on that is active or was in the running period, by (customer_id, addon)."""

PURCHASES: Schema = {
    "invoice_id": pl.String,
    "customer_id": pl.String,
    "invoice_type": pl.String,
    "code": pl.String,
    "name": pl.String,
    "currency": pl.String,
    "total": QUANTITY,
    "asked_on": pl.Date,
}
"""One row a purchase that waits for its payment, by invoice_id. Rule PAY-3."""

CREDITS: Schema = {
    "credit_id": pl.String,
    "customer_id": pl.String,
    "reason": pl.String,
    "currency": pl.String,
    "granted": QUANTITY,
    "left": QUANTITY,
    "granted_at": INSTANT,
    "expires_at": INSTANT,
}
"""Money that customers had with us, by (customer_id, granted_at, credit_id). Rule CUS-1."""

RUN_DAYS: Schema = {"as_of": pl.Date}
"""One row: the last day that was run, of which the other tables tell."""

STANDING: dict[str, Schema] = {
    "addons": ADDONS,
    "purchases": PURCHASES,
    "customers": CUSTOMERS,
    "subscriptions": SUBSCRIPTIONS,
    "invoice_balances": BALANCES,
    "payments": PAYMENTS,
    "opening_invoices": OPENING,
    "customer_credits": CREDITS,
    "run_days": RUN_DAYS,
}
"""Datasets with the one partition `all`."""


def write_standing(
    root: DataRoot, states: Iterable[CustomerState], setting: Setting, at: datetime
) -> list[PartitionFile]:
    """Replace the tables by where the customers stand now. The writer's lock is held.

    takes: at, the instant of the states.
    """
    ordered = sorted(states, key=lambda state: state.customer_id)
    rows = {
        "customers": [row for state in ordered for row in _customers(state)],
        "subscriptions": [row for state in ordered for row in _subscriptions(state, setting, at)],
        "invoice_balances": sorted(row for state in ordered for row in _balances(state)),
        "payments": sorted(
            (row for state in ordered for row in _payments(state)), key=lambda row: (row[3], row[0])
        ),
        "opening_invoices": sorted(row for state in ordered for row in _opening(state)),
        "addons": [row for state in ordered for row in _addons(state)],
        "purchases": sorted(row for state in ordered for row in _purchases(state)),
        "customer_credits": [row for state in ordered for row in _credits(state)],
        "run_days": [((at - timedelta(days=1)).date(),)],
    }
    return [
        write_partition(root, dataset, "all", table(rows[dataset], schema))
        for dataset, schema in STANDING.items()
    ]


def _customers(state: CustomerState) -> Iterator[tuple[Any, ...]]:
    if (it := state.customer) is not None:
        yield (
            it.id,
            it.country,
            it.time_zone,
            it.is_tax_id_valid,
            it.is_taxed,
            it.collection,
            it.payment_days,
        )


def _subscriptions(
    state: CustomerState, setting: Setting, at: datetime
) -> Iterator[tuple[Any, ...]]:
    if (it := state.subscription) is not None:
        coming = scheduled(it, setting, at)
        terms, period, window = it.terms, it.period, it.window
        yield (
            it.id,
            state.customer_id,
            it.status.value,
            terms.plan,
            terms.plan_name,
            terms.consumption_model,
            terms.interval,
            terms.is_free,
            terms.currency.code,
            readable(terms.amount),
            it.anchor,
            period and period.start,
            period and period.end,
            window and window.start,
            window and window.end,
            coming.on if coming and coming.is_cancel else it.cancel_on,
            coming.reason if coming and coming.is_cancel else it.cancel_reason,
            coming and coming.plan,
            coming and coming.interval,
            it.expires_at,
            it.checkout and it.checkout.total.major,
            bool(it.negotiated),
            _last_end(it),
            it.trial_ends_at,
        )


def _last_end(subscription: Subscription) -> datetime | None:
    """When the last of what was negotiated ends; None without end, and where nothing was."""
    ends = [it.until_at for it in subscription.negotiated]
    return None if None in ends else max((end for end in ends if end), default=None)


def _opening(state: CustomerState) -> Iterator[tuple[Any, ...]]:
    for it in state.invoices:
        if it.due_on is not None:
            amounts = (it.total, it.paid, it.refunded, it.written_off, it.unpaid)
            money = (amount.major for amount in amounts)
            yield (state.customer_id, it.id, it.total.currency.code, *money, it.due_on)


def _balances(state: CustomerState) -> Iterator[tuple[Any, ...]]:
    for it in state.invoices:
        if it.due_on is not None:
            continue
        amounts: tuple[Money, ...] = (
            it.paid,
            it.refunded,
            it.credited,
            it.written_off,
            it.unpaid,
        )
        yield (
            it.id,
            state.customer_id,
            it.total.currency.code,
            *(amount.minor for amount in amounts),
            *(amount.major for amount in amounts),
            it.is_uncollectible,
        )


def _payments(state: CustomerState) -> Iterator[tuple[Any, ...]]:
    for record in state.invoices:
        for it in (*record.payments, *record.refunds):
            yield (
                it.action_id,
                state.customer_id,
                record.id,
                it.at,
                it.result,
                it.amount.currency.code,
                it.amount.minor,
                it.amount.major,
                None if it.settled is None else readable(it.settled),
                it.settlement_currency,
            )


def _addons(state: CustomerState) -> Iterator[tuple[Any, ...]]:
    subscription = state.subscription
    if subscription is None:
        return
    for it in subscription.addons:
        yield (
            state.customer_id,
            subscription.id,
            it.terms.code,
            it.terms.name,
            it.terms.feature.code,
            subscription.terms.currency.code,
            readable(it.terms.price),
            it.is_active,
            it.is_paid,
        )


def _purchases(state: CustomerState) -> Iterator[tuple[Any, ...]]:
    for it in state.purchases:
        yield (
            it.draft.id,
            state.customer_id,
            str(it.draft.type),
            it.line.code,
            it.line.name,
            it.draft.currency.code,
            it.draft.total.major,
            it.draft.billing_day,
        )


def _credits(state: CustomerState) -> Iterator[tuple[Any, ...]]:
    for it in sorted(state.credits, key=lambda credit: (credit.granted_at, credit.id)):
        yield (
            it.id,
            state.customer_id,
            it.reason,
            it.granted.currency.code,
            it.granted.major,
            it.left.major,
            it.granted_at,
            it.expires_at,
        )
