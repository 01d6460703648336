"""A catalog that is right, and patches and actions that are wrong, each in one way."""

from typing import Any

BASE: dict[str, Any] = {
    "catalog": "base",
    "effective_at": "2026-01-01",
    "currency": "USD",
    "seller": {"name": "Example Labs Inc.", "country": "US"},
    "features": {
        "calls": {"type": "metered", "name": "Calls", "unit": "call"},
        "chat": {"type": "metered", "name": "Chat", "unit": "token"},
        "editors": {"type": "seats", "name": "Editors", "unit": "seat"},
        "sso": {"type": "boolean", "name": "Single sign-on"},
        "storage": {"type": "quota", "name": "Storage", "unit": "GB", "measure": "peak"},
    },
    "groups": {"standard": ["starter", "pro"]},
    "plans": {
        "free": {
            "name": "Free",
            "consumption_model": "metered",
            "free": "true",
            "features": {"storage": {"included": "2", "overage": {"mode": "block"}}},
        },
        "starter": {
            "name": "Starter",
            "consumption_model": "metered",
            "prices": {"monthly": {"amount": "29.00"}},
            "features": {
                "calls": {"included": "100", "overage": {"unit_price": "0.02"}},
                "editors": {"included": "5", "overage": {"unit_price": "25.00"}},
            },
        },
        "pro": {
            "name": "Pro",
            "consumption_model": "metered",
            "prices": {"monthly": {"amount": "99.00"}, "yearly": {"amount": "990.00"}},
            "features": {
                "calls": {
                    "included": "1000",
                    "overage": {
                        "model": "graduated",
                        "tiers": [
                            {"up_to": "10", "unit_price": "0.02"},
                            {"up_to": "20", "unit_price": "0.01"},
                            {"unit_price": "0.005"},
                        ],
                    },
                },
                "chat": {"pricing": "ai_model", "margin_bp": "2000"},
                "sso": {"enabled": "true"},
            },
        },
        "coins": {
            "name": "Coins",
            "consumption_model": "credits",
            "prices": {"monthly": {"amount": "20.00", "included_credits": "500"}},
            "features": {"calls": {"credits_per_unit": "1"}},
        },
    },
    "addons": {
        "more": {
            "name": "More calls",
            "feature": "calls",
            "model": "metered",
            "price": "9.00",
            "overage": {"unit_price": "0.03"},
        },
        "login": {"name": "Login", "feature": "sso", "model": "boolean", "price": "49.00"},
    },
    "credit_packs": {"coins_30": {"credits": "30", "price": "3.00"}},
    "capacity_packs": {
        "gb_10": {"price": "29.00", "grants": {"storage": "10"}, "valid_days": "365"}
    },
    "quota_packs": {
        "gb_5": {
            "feature": "storage",
            "slots": "5",
            "price": "5.00",
            "mode": "one_time",
            "valid_days": "30",
        }
    },
    "promo_codes": {
        "SAVE20": {"type": "percentage", "value": "2000", "cycles": None, "plans": ["pro"]}
    },
    "ai_models": {
        "openai/tiny": {"input": "0.15", "output": "0.60"},
        "openai/gpt-4o-mini": "genai-prices",
    },
    "store": {
        "creators": {"ann": {"name": "Ann Ink"}},
        "items": {"dark": {"name": "Dark", "creator": "ann", "kind": "fixed", "price": "6.00"}},
        "bundles": {"spring": {"name": "Spring", "items": ["dark"], "price": "5.00"}},
    },
    "tax": [{"country": "NL", "rate_bp": "2100", "from": "2019-01-01"}],
    "exchange_rates": [
        {"from": "USD", "to": "EUR", "rate": "0.92", "valid_from": "2026-01-01", "source": "ECB"}
    ],
}


def _plan(**changes: Any) -> dict[str, Any]:
    return {"plans": {"starter": changes}}


def _calls(**changes: Any) -> dict[str, Any]:
    return _plan(features={"calls": changes})


def _overage(**changes: Any) -> dict[str, Any]:
    return _calls(overage=changes)


def _tiers(*tiers: dict[str, Any]) -> dict[str, Any]:
    return _overage(model="graduated", unit_price=None, tiers=list(tiers))


def _feature(code: str, **changes: Any) -> dict[str, Any]:
    return {"features": {code: changes}}


CATALOGS: dict[str, tuple[dict[str, Any], str, str]] = {
    # case: (patch over BASE, code, path)
    "a mistyped key": (
        _plan(consumption_model=None, consumption_modle="metered"),
        "CATALOG-02",
        "plans.starter.consumption_model",
    ),
    "an unknown section": ({"promocodes": {}}, "CATALOG-01", "promocodes"),
    "a mistyped key of a tier": (
        _tiers({"upto": "10", "unit_price": "1"}),
        "CATALOG-01",
        "plans.starter.features.calls.overage.tiers.0.upto",
    ),
    "a missing name": (_plan(name=None), "CATALOG-02", "plans.starter.name"),
    "a number in place of a mapping": (
        _plan(prices={"monthly": "29.00"}),
        "CATALOG-03",
        "plans.starter.prices.monthly",
    ),
    "a text in place of a list": (
        {"groups": {"standard": "starter"}},
        "CATALOG-03",
        "groups.standard",
    ),
    "a mapping in place of a text": (
        _plan(name={"en": "Starter"}),
        "CATALOG-03",
        "plans.starter.name",
    ),
    "a sale of one day alone": (
        {"store": {"items": {"dark": {"on_sale": ["2026-01-01"]}}}},
        "CATALOG-02",
        "store.items.dark.on_sale.1",
    ),
    "a code with a space": ({"plans": {"st arter": {"name": "x"}}}, "CATALOG-03", "plans.st arter"),
    "a price that is no number": (
        _plan(prices={"monthly": {"amount": "29,00"}}),
        "CATALOG-04",
        "plans.starter.prices.monthly.amount",
    ),
    "a price that is not exact": (
        _plan(prices={"monthly": {"amount": 29.0}}),
        "CATALOG-04",
        "plans.starter.prices.monthly.amount",
    ),
    "a price that is not a number": (
        _plan(prices={"monthly": {"amount": "NaN"}}),
        "CATALOG-04",
        "plans.starter.prices.monthly.amount",
    ),
    "a price of 39 digits": (
        _plan(prices={"monthly": {"amount": "1" * 39}}),
        "CATALOG-04",
        "plans.starter.prices.monthly.amount",
    ),
    "half a trial day": (
        _plan(prices={"monthly": {"trial_days": "1.5"}}),
        "CATALOG-04",
        "plans.starter.prices.monthly.trial_days",
    ),
    "neither yes nor no": (_plan(public="yes"), "CATALOG-05", "plans.starter.public"),
    "a day that is none": ({"effective_at": "2026-02-30"}, "CATALOG-06", "effective_at"),
    "an instant without zone": (
        {"effective_at": "2026-01-01T08:30:00"},
        "CATALOG-06",
        "effective_at",
    ),
    "an unknown interval": (
        _plan(prices={"weekly": {"amount": "9.00"}}),
        "CATALOG-07",
        "plans.starter.prices.weekly",
    ),
    "a mistyped aggregation": (
        _feature("calls", aggregation="unique_cuont"),
        "CATALOG-07",
        "features.calls.aggregation",
    ),
    "an unknown policy value": (
        {"policies": {"late_usage": "ignore"}},
        "CATALOG-07",
        "policies.late_usage",
    ),
    "a model's price as another text": (
        {"ai_models": {"openai/tiny": "genai-price"}},
        "CATALOG-07",
        "ai_models.openai/tiny",
    ),
    "a negative price": (
        _plan(prices={"monthly": {"amount": "-1"}}),
        "CATALOG-08",
        "plans.starter.prices.monthly.amount",
    ),
    "a package of size 0": (
        _overage(model="package", unit_price=None, size="0", price="1"),
        "CATALOG-08",
        "plans.starter.features.calls.overage.size",
    ),
    "a tax above 100 %": (
        {"tax": [{"country": "NL", "rate_bp": "12100", "from": "2019-01-01"}]},
        "CATALOG-08",
        "tax.0.rate_bp",
    ),
    "a margin above 1000 %": (
        {"plans": {"pro": {"features": {"chat": {"margin_bp": "200000"}}}}},
        "CATALOG-08",
        "plans.pro.features.chat.margin_bp",
    ),
    "a plan with an unknown feature": (
        _plan(features={"cals": {}}),
        "CATALOG-10",
        "plans.starter.features.cals",
    ),
    "a group with an unknown plan": (
        {"groups": {"standard": ["starter", "prо"]}},
        "CATALOG-03",
        "groups.standard.1",
    ),
    "a group with a plan left out": ({"plans": {"pro": None}}, "CATALOG-10", "groups.standard"),
    "an add-on of an unknown feature": (
        {"addons": {"more": {"feature": "sms"}}},
        "CATALOG-10",
        "addons.more.feature",
    ),
    "a capacity pack of an unknown feature": (
        {"capacity_packs": {"gb_10": {"grants": {"disk": "1"}}}},
        "CATALOG-10",
        "capacity_packs.gb_10.grants.disk",
    ),
    "a quota pack of an unknown feature": (
        {"quota_packs": {"gb_5": {"feature": "disk"}}},
        "CATALOG-10",
        "quota_packs.gb_5.feature",
    ),
    "a promo code for an unknown plan": (
        {"promo_codes": {"SAVE20": {"plans": ["basic"]}}},
        "CATALOG-10",
        "promo_codes.SAVE20.plans",
    ),
    "an item of an unknown creator": (
        {"store": {"items": {"dark": {"creator": "bo"}}}},
        "CATALOG-10",
        "store.items.dark.creator",
    ),
    "a bundle with an unknown item": (
        {"store": {"bundles": {"spring": {"items": ["light"]}}}},
        "CATALOG-10",
        "store.bundles.spring.items",
    ),
    "a group of a plan in small letters": (
        {"groups": {"standard": ["starter", "Pro"]}},
        "CATALOG-10",
        "groups.standard",
    ),
    "a plan without price": (_plan(prices=None), "CATALOG-11", "plans.starter.prices"),
    "a free plan with prices": (_plan(free="true"), "CATALOG-11", "plans.starter.prices"),
    "credits on a metered plan": (
        _plan(prices={"monthly": {"included_credits": "5"}}),
        "CATALOG-11",
        "plans.starter.prices.monthly.included_credits",
    ),
    "a balance on a credits plan": (
        {"plans": {"coins": {"prices": {"monthly": {"included_balance": "5"}}}}},
        "CATALOG-11",
        "plans.coins.prices.monthly.included_balance",
    ),
    "a block on a metered plan": (
        _plan(block_on_exhaustion="true"),
        "CATALOG-11",
        "plans.starter.block_on_exhaustion",
    ),
    "a plan in two groups": ({"groups": {"other": ["pro"]}}, "CATALOG-12", "groups.standard"),
    "a group of two models": (
        {"groups": {"standard": ["starter", "coins"]}},
        "CATALOG-12",
        "groups.standard",
    ),
    "a group of unlike currencies": (
        _plan(prices={"monthly": {"currencies": {"EUR": {"amount": "27.00"}}}}),
        "CATALOG-12",
        "groups.standard",
    ),
    "a per-unit price without price": (
        _overage(unit_price=None),
        "CATALOG-13",
        "plans.starter.features.calls.overage.unit_price",
    ),
    "a package without size": (
        _overage(model="package", unit_price=None, price="1"),
        "CATALOG-13",
        "plans.starter.features.calls.overage.size",
    ),
    "a unit price beside tiers": (
        _overage(model="volume", tiers=[{"unit_price": "1"}]),
        "CATALOG-13",
        "plans.starter.features.calls.overage.unit_price",
    ),
    "a minimum above the maximum": (
        _overage(minimum_amount="5", maximum_amount="4"),
        "CATALOG-13",
        "plans.starter.features.calls.overage.minimum_amount",
    ),
    "dynamic prices with an included amount": (
        _overage(model="dynamic", unit_price=None),
        "CATALOG-14",
        "plans.starter.features.calls.included",
    ),
    "an included boolean": (
        {"plans": {"pro": {"features": {"sso": {"included": "1"}}}}},
        "CATALOG-14",
        "plans.pro.features.sso.included",
    ),
    "seats in packages": (
        _plan(
            features={
                "editors": {
                    "overage": {
                        "model": "package",
                        "unit_price": None,
                        "size": "5",
                        "price": "99.00",
                    }
                }
            }
        ),
        "CATALOG-14",
        "plans.starter.features.editors.overage",
    ),
    "AI prices on seats": (
        _plan(features={"editors": {"pricing": "ai_model", "overage": None}}),
        "CATALOG-14",
        "plans.starter.features.editors.pricing",
    ),
    "AI prices beside an overage": (
        _calls(pricing="ai_model"),
        "CATALOG-14",
        "plans.starter.features.calls.overage",
    ),
    "a margin on a fixed price": (
        _calls(margin_bp="100"),
        "CATALOG-14",
        "plans.starter.features.calls.margin_bp",
    ),
    "credits on a metered feature": (
        _calls(credits_per_unit="1"),
        "CATALOG-14",
        "plans.starter.features.calls.credits_per_unit",
    ),
    "a credits plan without cost": (
        {"plans": {"coins": {"features": {"chat": {}}}}},
        "CATALOG-14",
        "plans.coins.features.chat.credits_per_unit",
    ),
    "a boolean add-on of a metered feature": (
        {"addons": {"more": {"model": "boolean"}}},
        "CATALOG-14",
        "addons.more.model",
    ),
    "a margin on a fixed add-on": (
        {"addons": {"more": {"margin_bp": "100"}}},
        "CATALOG-14",
        "addons.more.margin_bp",
    ),
    "a sale of three days": (
        {"store": {"items": {"dark": {"on_sale": ["2026-01-01", "2026-01-02", "2026-01-03"]}}}},
        "CATALOG-03",
        "store.items.dark.on_sale",
    ),
    "AI prices without exchange rate": (
        {
            "groups": {},
            "exchange_rates": [],
            "plans": {
                "pro": {
                    "prices": {"monthly": {"currencies": {"EUR": {"amount": "90.00"}}}},
                    "features": {"calls": None},
                }
            },
        },
        "CATALOG-19",
        "plans.pro.features.chat.pricing",
    ),
    "a last tier with an end": (
        _tiers({"up_to": "10", "unit_price": "1"}),
        "CATALOG-15",
        "plans.starter.features.calls.overage.tiers.0.up_to",
    ),
    "a first tier without end": (
        _tiers({"unit_price": "2"}, {"unit_price": "1"}),
        "CATALOG-15",
        "plans.starter.features.calls.overage.tiers.0.up_to",
    ),
    "tiers that fall": (
        _tiers(
            {"up_to": "10", "unit_price": "2"},
            {"up_to": "10", "unit_price": "1"},
            {"unit_price": "1"},
        ),
        "CATALOG-15",
        "plans.starter.features.calls.overage.tiers.1.up_to",
    ),
    "a metered feature without unit": (
        _feature("calls", unit=None),
        "CATALOG-16",
        "features.calls.unit",
    ),
    "an aggregation of seats": (
        _feature("editors", aggregation="sum"),
        "CATALOG-16",
        "features.editors.aggregation",
    ),
    "a measure of a metered feature": (
        _feature("calls", measure="peak"),
        "CATALOG-16",
        "features.calls.measure",
    ),
    "a unique count of nothing": (
        _feature("calls", aggregation="unique_count"),
        "CATALOG-16",
        "features.calls.property",
    ),
    "a property of a sum": (
        _feature("calls", property="visitor_id"),
        "CATALOG-16",
        "features.calls.property",
    ),
    "per without event unit": (_feature("calls", per="60"), "CATALOG-16", "features.calls.per"),
    "three dimensions": (
        _feature("calls", dimensions=["a", "b", "c"]),
        "CATALOG-16",
        "features.calls.dimensions",
    ),
    "a dimension twice": (
        _feature("calls", dimensions=["a", "a"]),
        "CATALOG-16",
        "features.calls.dimensions",
    ),
    "a capacity pack of seats": (
        {"capacity_packs": {"gb_10": {"grants": {"editors": "1"}}}},
        "CATALOG-17",
        "capacity_packs.gb_10.grants.editors",
    ),
    "a quota pack of calls": (
        {"quota_packs": {"gb_5": {"feature": "calls"}}},
        "CATALOG-17",
        "quota_packs.gb_5.feature",
    ),
    "a one-time pack without end": (
        {"quota_packs": {"gb_5": {"valid_days": None}}},
        "CATALOG-17",
        "quota_packs.gb_5.valid_days",
    ),
    "a one-time pack with a term": (
        {"quota_packs": {"gb_5": {"term_months": "3"}}},
        "CATALOG-17",
        "quota_packs.gb_5.term_months",
    ),
    "a discount above 100 %": (
        {"promo_codes": {"SAVE20": {"value": "20000"}}},
        "CATALOG-18",
        "promo_codes.SAVE20.value",
    ),
    "half a basis point": (
        _plan(
            prices={
                "monthly": {"intro_offer": {"type": "percentage", "value": "0.5", "cycles": "1"}}
            }
        ),
        "CATALOG-18",
        "plans.starter.prices.monthly.intro_offer.value",
    ),
    "the catalog's currency twice": (
        {"credit_packs": {"coins_30": {"currencies": {"USD": {"price": "3.00"}}}}},
        "CATALOG-19",
        "credit_packs.coins_30.currencies.USD",
    ),
    "no exchange rate": (
        {
            "groups": {},
            "exchange_rates": [],
            "plans": {
                "coins": {"prices": {"monthly": {"currencies": {"EUR": {"amount": "19.00"}}}}}
            },
        },
        "CATALOG-19",
        "addons.more",
    ),
    "a timed item without days": (
        {"store": {"items": {"dark": {"kind": "timed"}}}},
        "CATALOG-20",
        "store.items.dark.licence_days",
    ),
    "a bundle of nothing": (
        {"store": {"bundles": {"spring": {"items": []}}}},
        "CATALOG-20",
        "store.bundles.spring.items",
    ),
    "a sale without days": (
        {"store": {"bundles": {"spring": {"on_sale": ["2026-03-01", "2026-03-01"]}}}},
        "CATALOG-20",
        "store.bundles.spring.on_sale",
    ),
    "shares that rise": (
        {
            "store": {
                "revenue_share": {
                    "tiers": [{"up_to": "10", "share_bp": "5000"}, {"share_bp": "6000"}]
                }
            }
        },
        "CATALOG-20",
        "store.revenue_share.tiers.1.share_bp",
    ),
    "share bounds that fall": (
        {
            "store": {
                "revenue_share": {
                    "tiers": [
                        {"up_to": "10", "share_bp": "7000"},
                        {"up_to": "5", "share_bp": "6000"},
                        {"share_bp": "5000"},
                    ]
                }
            }
        },
        "CATALOG-20",
        "store.revenue_share.tiers.0.up_to",
    ),
    "shares that end": (
        {"store": {"revenue_share": {"tiers": [{"up_to": "10", "share_bp": "7000"}]}}},
        "CATALOG-20",
        "store.revenue_share.tiers",
    ),
    "a model without provider": (
        {"ai_models": {"tiny": {"input": "1", "output": "1"}}},
        "CATALOG-21",
        "ai_models.tiny",
    ),
    "prices in dollars for a catalog in euros": (
        {"currency": "EUR"},
        "CATALOG-21",
        "ai_models.openai/gpt-4o-mini",
    ),
    "invoice numbers without a number": (
        {"seller": {"numbering": {"format": "INV-{year}"}}},
        "CATALOG-21",
        "seller.numbering.format",
    ),
    "invoice numbers with another field": (
        {"seller": {"numbering": {"format": "{n}{n.__class__}"}}},
        "CATALOG-21",
        "seller.numbering.format",
    ),
    "two tax rates from one day": (
        {
            "tax": [
                {"country": "NL", "rate_bp": "2100", "from": "2019-01-01"},
                {"country": "NL", "rate_bp": "900", "from": "2019-01-01"},
            ]
        },
        "CATALOG-24",
        "tax.1",
    ),
}

ACTIONS: dict[str, tuple[dict[str, Any], str, str]] = {
    # case: (fields over a subscribe of customer acme, code, path)
    "an unknown action": ({"do": "subscibe"}, "ACTION-07", "do"),
    "no action": ({"do": None}, "ACTION-02", "do"),
    "a missing customer": ({"customer": None}, "ACTION-02", "customer"),
    "a mistyped field": ({"intreval": "monthly"}, "ACTION-01", "intreval"),
    "seats as inexact number": ({"seats": {"editors": 3.0}}, "ACTION-04", "seats.editors"),
    "negative seats": ({"seats": {"editors": "-3"}}, "ACTION-08", "seats.editors"),
    "an instant without zone": ({"at": "2026-04-01T10:00:00"}, "ACTION-06", "at"),
    "an unknown actor": ({"actor": "admin"}, "ACTION-07", "actor"),
    "a promo code with a blank": ({"promo_code": "SAVE 20"}, "ACTION-03", "promo_code"),
    "no change": ({"do": "change_plan", "plan": None, "interval": None}, "ACTION-09", "(whole)"),
    "a top-up of nothing": (
        {"do": "top_up", "plan": None, "interval": None, "amount": "0"},
        "ACTION-08",
        "amount",
    ),
    "an email that is no text": (
        {"do": "create_customer", "plan": None, "interval": None, "email": ["ada@example.org"]},
        "ACTION-03",
        "email",
    ),
    "a field that is found out": (
        {
            "do": "create_customer",
            "plan": None,
            "interval": None,
            "tax_id_checked_on": "2026-01-01",
        },
        "ACTION-01",
        "tax_id_checked_on",
    ),
    "an import without days": (
        {
            "do": "import_subscription",
            "anchor": "2026-01-20",
            "period": ["2026-04-20", "2026-04-20"],
            "paid_through": "2026-04-20",
        },
        "ACTION-08",
        "period",
    ),
    "an import whose period does not fit the anchor": (
        {
            "do": "import_subscription",
            "anchor": "2026-01-20",
            "period": ["2026-03-15", "2026-04-15"],
            "paid_through": "2026-04-15",
        },
        "ACTION-08",
        "period",
    ),
    "an import without a readable anchor": (
        {
            "do": "import_subscription",
            "anchor": "20.1.2026",
            "period": ["2026-03-20", "2026-04-20"],
            "paid_through": "2026-04-20",
        },
        "ACTION-06",
        "anchor",
    ),
    "an import that is paid beyond its period": (
        {
            "do": "import_subscription",
            "anchor": "2026-01-20",
            "period": ["2026-03-20", "2026-04-20"],
            "paid_through": "2026-05-20",
        },
        "ACTION-08",
        "paid_through",
    ),
    "an import with more than a whole off": (
        {
            "do": "import_subscription",
            "anchor": "2026-01-20",
            "period": ["2026-03-20", "2026-04-20"],
            "paid_through": "2026-04-20",
            "discount": {"type": "percentage", "value": "10001"},
        },
        "ACTION-08",
        "discount.value",
    ),
    "imported terms with an unknown key": (
        {
            "do": "import_subscription",
            "anchor": "2026-01-20",
            "period": ["2026-03-20", "2026-04-20"],
            "paid_through": "2026-04-20",
            "terms": {"prices": {"monthly": {"amuont": "25.00"}}},
        },
        "ACTION-01",
        "terms.prices.monthly.amuont",
    ),
    "terms agreed on with an unknown key": (
        {
            "do": "override_terms",
            "plan": None,
            "interval": None,
            "patch": {"features": {"calls": {"inculded": "5"}}},
        },
        "ACTION-01",
        "patch.features.calls.inculded",
    ),
    "an opening balance of nothing": (
        {"do": "opening_balance", "plan": None, "interval": None},
        "ACTION-09",
        "(whole)",
    ),
    "an empty agreement with an end": (
        {
            "do": "override_terms",
            "plan": None,
            "interval": None,
            "patch": {},
            "until": "2026-07-01",
        },
        "ACTION-09",
        "(whole)",
    ),
    "an invoice by an unknown type": (
        {
            "do": "payment",
            "plan": None,
            "interval": None,
            "invoice": {"type": "first", "on": "2026-04-01"},
            "result": "succeeded",
        },
        "ACTION-07",
        "invoice.type",
    ),
    "a catalog and a patch": (
        {
            "do": "publish_catalog",
            "customer": None,
            "plan": None,
            "interval": None,
            "catalog": {},
            "patch": {},
        },
        "ACTION-09",
        "(whole)",
    ),
    "a migration to nowhere": (
        {"do": "delete_plan", "customer": None, "interval": None, "option": "migrate"},
        "ACTION-09",
        "(whole)",
    ),
    "a credit note of nothing": (
        {
            "do": "issue_credit_note",
            "plan": None,
            "interval": None,
            "invoice": "INV-1",
            "reason": "error",
        },
        "ACTION-09",
        "(whole)",
    ),
}

SUBSCRIBE: dict[str, Any] = {
    "id": "a1",
    "at": "2026-04-01T00:00:00Z",
    "received_at": "2026-04-01T00:00:00Z",
    "do": "subscribe",
    "customer": "acme",
    "plan": "starter",
    "interval": "monthly",
}
