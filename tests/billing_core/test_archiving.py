"""Rule ADD-5: a catalog version that leaves out an add-on that somebody has is refused."""

from collections.abc import Sequence
from typing import Any

import pytest

from billing_core.actions import Action
from billing_core.archiving import first_archiving
from billing_core.catalog import Catalog
from billing_core.setting import Setting
from tests.billing_core.builders import (
    act,
    created,
    instant,
    ladder,
    paid,
    setting_of,
    subscribed,
)

SSO = {"name": "Single sign-on", "feature": "sso", "model": "boolean", "price": "7.00"}
GONE_ON = "2026-05-10"
ACTIVATES = act("2026-04-16", "activate_addon", addon="sso")
START = [created(), subscribed("2026-04-01"), paid("2026-04-01", ("initial", "2026-04-01"))]


def world(**changes: Any) -> Setting:
    without: Catalog = ladder(effective_at=GONE_ON)
    return setting_of(ladder(addons={"sso": SSO}), without, assumes_payment=False, **changes)


PAID = paid("2026-04-16", ("addon_activation", "2026-04-16"))
RENEWED = paid("2026-05-01", ("recurring", "2026-05-01"))
STORIES: dict[str, tuple[Sequence[Action], bool]] = {
    "never": ((), False),
    "active": ((ACTIVATES, PAID), True),
    "bought, not yet paid, in a running period": (
        (act("2026-05-09", "activate_addon", addon="sso"),),
        True,
    ),
    "never paid for": ((ACTIVATES,), False),
    "deactivated": (
        (ACTIVATES, PAID, act("2026-05-09 23:59", "deactivate_addon", addon="sso")),
        False,
    ),
    "deactivated at the instant of the version": (
        (ACTIVATES, PAID, act(GONE_ON, "deactivate_addon", addon="sso")),
        True,
    ),
    "deactivated, and heard of afterwards": (
        (ACTIVATES, PAID, act("2026-05-09", "deactivate_addon", "2026-05-11", addon="sso")),
        True,
    ),
    "activated, and heard of afterwards": (
        (act("2026-05-02", "activate_addon", "2026-05-11", addon="sso"),),
        False,
    ),
    "paused": ((ACTIVATES, PAID, act("2026-05-02", "pause")), True),
    "cancelled": ((ACTIVATES, PAID, act("2026-05-02", "cancel", when="now")), False),
}


@pytest.mark.parametrize(("steps", "is_refused"), STORIES.values(), ids=STORIES)
def test_who_has_an_addon_when_a_version_leaves_it_out(
    steps: Sequence[Action], is_refused: bool
) -> None:
    people = {"acme": [*START, RENEWED, *steps]}
    found = first_archiving(people, world(), until=instant("2026-06-01"))
    assert (found is not None) == is_refused
    if found is not None:
        assert (found.place, found.addon, found.customer_id) == (1, "sso", "acme")


def test_a_version_that_is_yet_to_come_is_not_looked_at() -> None:
    people = {"acme": [*START, ACTIVATES, PAID]}
    assert first_archiving(people, world(), until=instant(GONE_ON)) is None


def test_a_customer_who_cannot_be_billed_keeps_no_version_out() -> None:
    people = {"acme": [*START, ACTIVATES, PAID, act("2026-04-20", "confirm_overage", feature="x")]}
    assert first_archiving(people, world(), until=instant("2026-06-01")) is None
