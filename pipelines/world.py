"""What the billing core needs of the world, as values: currencies, and time zones.

Currencies are ISO 4217's with their minor digits. Zones come from the pinned package
`tzdata` alone, never from the machine, so that the same input gives the same bytes.
"""

import zoneinfo
from collections.abc import Iterable
from datetime import tzinfo
from functools import cache
from importlib.metadata import version

from iso4217 import Currency as IsoCurrency

from billing_core.money import Currency

zoneinfo.reset_tzpath(to=[])


@cache
def currencies() -> dict[str, Currency]:
    """Every ISO 4217 currency that has a minor unit, by code."""
    return {
        item.code: Currency(item.code, item.exponent)
        for item in IsoCurrency
        if item.exponent is not None
    }


def zones(names: Iterable[str]) -> dict[str, tzinfo]:
    """The zones of some IANA names; a name that does not exist is left out."""
    found = {name: zone(name) for name in sorted(set(names))}
    return {name: value for name, value in found.items() if value is not None}


@cache
def zone(name: str) -> tzinfo | None:
    """The zone of one IANA name; None where the pinned zone data does not have it."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return None


def tzdata_version() -> str:
    """The version of the zone data, which a posting keeps."""
    return version("tzdata")
