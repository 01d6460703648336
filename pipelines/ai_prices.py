"""The dated table of AI model prices: `catalog/ai_prices.csv`, append-only, our own.

Catalog versions give the prices, or name the package `genai-prices` whose dated history is
taken over. A row is written only when a price changes, and no row is ever changed: the
price of an event is the one in force at its instant (AI-2).
"""

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import pairwise
from typing import Final, Literal

from genai_prices import data
from genai_prices.types import (
    ModelInfo,
    ModelPrice,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

from billing_core.errors import BillingError
from pipelines.datasets import sync_folder
from pipelines.paths import DataRoot

GENAI_PRICES: Final = "genai-prices"
CLASSES = ("input", "output", "cache_read", "cache_write")
Entry = Mapping[str, Decimal] | Literal["genai-prices"]
Versions = Sequence[tuple[datetime, Mapping[str, Entry]]]

NO_END = datetime(9999, 1, 1, tzinfo=UTC)
MOST_TOKENS = 10**15
_SMALLEST = Decimal("0.000000000001")
_HEADER = (
    "model", "valid_from", "tokens_above", "tokens_up_to", *CLASSES, "source",
)  # fmt: skip


class UnknownPackageModel(BillingError):
    """The package genai-prices has no such model, or no price that does not vary by hour."""

    code = "AI-10"

    def __init__(self, *, model: str, why: str) -> None:
        super().__init__(
            what=f"genai-prices gives no price for {model!r}: {why}",
            where="ai_models in the catalog",
            mend="write the model as provider/model, as in openai/gpt-4o-mini, or its four prices",
        )


class PriceTooFine(BillingError):
    """A price per million tokens with more than twelve decimals."""

    code = "AI-11"

    def __init__(self, *, model: str, price: Decimal) -> None:
        super().__init__(
            what=f"the price {price} of {model!r} has more than 12 decimals",
            where="ai_models in the catalog, money per million tokens",
            mend="write at most 12 decimals",
        )


class DamagedPrices(BillingError):
    """The table of prices cannot be read."""

    code = "AI-12"

    def __init__(self, *, line: int, why: str) -> None:
        super().__init__(
            what=f"line {line} cannot be read: {why}",
            where="catalog/ai_prices.csv",
            mend="take the file from a backup; rows are only ever added, never edited",
        )


@dataclass(frozen=True, slots=True)
class AiPrice:
    """The price of a model from an instant on, for requests of a size.

    price_id:     its line in the table, from 1; never changes.
    valid_to:     when the model's next price begins, not included.
    tokens_above, tokens_up_to: of all input tokens of a request, cached ones included.
    prices:       money per million tokens, for each of CLASSES.
    """

    price_id: int
    model: str
    valid_from: datetime
    valid_to: datetime
    tokens_above: int
    tokens_up_to: int
    prices: tuple[Decimal, Decimal, Decimal, Decimal]
    source: str


def read_ai_prices(root: DataRoot) -> tuple[AiPrice, ...]:
    """The whole table, in the order written; empty where there is none yet."""
    if not root.ai_prices.exists():
        return ()
    text = root.ai_prices.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    rows = list(csv.reader(io.StringIO(whole)))
    return _dated(_price(number, row) for number, row in enumerate(rows[1:], start=1))


def update_ai_prices(root: DataRoot, versions: Versions) -> tuple[AiPrice, ...]:
    """The table, after the prices of these catalog versions were added to it. Rule AI-2.

    takes:   versions in order of effective_at: the instant, and each model's entry.
    raises:  UnknownPackageModel, PriceTooFine, DamagedPrices.
    """
    known = read_ai_prices(root)
    added = tuple(new_prices(known, versions))
    if added:
        _append(root, added)
    return _dated((*known, *added))


def new_prices(known: Sequence[AiPrice], versions: Versions) -> Iterator[AiPrice]:
    """The rows that versions add to a table: only changes, only after a model's last row."""
    rows = list(known)
    for place, (effective_at, models) in enumerate(versions):
        until = versions[place + 1][0] if place + 1 < len(versions) else NO_END
        for model, entry in sorted(models.items()):
            for version in _entry_versions(model, entry, effective_at, until):
                if not _is_change(rows, version):
                    continue
                for row in version:
                    numbered = replace(row, price_id=len(rows) + 1)
                    rows.append(numbered)
                    yield numbered


def prices_of_versions(versions: Versions) -> tuple[AiPrice, ...]:
    """The table that catalog versions alone make, without any file."""
    return _dated(new_prices((), versions))


def references(prices: Iterable[AiPrice]) -> list[tuple[str, str | None, datetime]]:
    """Every text that may name a priced model: (text, model or None, priced from). Rule AI-3.

    A bare model id names the one provider that has it; with several it is ambiguous: None.
    """
    starts: dict[str, datetime] = {}
    for price in prices:
        starts[price.model] = min(price.valid_from, starts.get(price.model, NO_END))
    bare: dict[str, list[str]] = {}
    for model in starts:
        bare.setdefault(model.partition("/")[2], []).append(model)
    found: list[tuple[str, str | None, datetime]] = [(m, m, starts[m]) for m in sorted(starts)]
    for name, models in sorted(bare.items()):
        if name and name not in starts:
            first = models[0]
            found.append((name, first if len(models) == 1 else None, starts[first]))
    return found


def _entry_versions(
    model: str, entry: Entry, effective_at: datetime, until: datetime
) -> Iterator[tuple[AiPrice, ...]]:
    if not isinstance(entry, str):
        prices = _exact(model, [entry.get(name, Decimal(0)) for name in CLASSES])
        yield (AiPrice(0, model, effective_at, NO_END, -1, MOST_TOKENS, prices, "catalog"),)
        return
    dated = list(_package_prices(model))
    for place, (start, price) in enumerate(dated):
        end = dated[place + 1][0] if place + 1 < len(dated) else NO_END
        valid_from = max(start, effective_at)
        if valid_from < min(end, until):
            yield tuple(_tiers(model, valid_from, price))


def _package_prices(model: str) -> list[tuple[datetime, ModelPrice]]:
    """The package's dated prices of a model, in order; the first is taken as always in force."""
    found = _package_model(model)
    prices = found.prices
    if isinstance(prices, ModelPrice):
        return [(datetime.min.replace(tzinfo=UTC), prices)]
    dated: dict[datetime, ModelPrice] = {}
    for item in prices:
        if isinstance(item.constraint, TimeOfDateConstraint):
            raise UnknownPackageModel(model=model, why="its price varies by the hour")
        start = datetime.min.replace(tzinfo=UTC)
        if isinstance(item.constraint, StartDateConstraint):
            start = datetime.combine(item.constraint.start_date, time(), UTC)
        dated[start] = item.prices
    return sorted(dated.items(), key=lambda pair: pair[0])


def _package_model(model: str) -> ModelInfo:
    provider_id, _, name = model.partition("/")
    for provider in data.providers:
        if provider.id == provider_id:
            exact = [item for item in provider.models if item.id == name]
            alike = exact or [item for item in provider.models if item.is_match(name)]
            if alike:
                return alike[0]
            raise UnknownPackageModel(model=model, why=f"{provider_id} has no such model there")
    raise UnknownPackageModel(model=model, why=f"it has no provider {provider_id!r}")


def _tiers(model: str, valid_from: datetime, price: ModelPrice) -> Iterator[AiPrice]:
    """One row a size of request: crossing a tier prices all tokens of the request at it."""
    values = [getattr(price, f"{name}_mtok", None) for name in CLASSES]
    if values[0] is None and values[1] is None:
        raise UnknownPackageModel(model=model, why="it is not priced by tokens")
    starts = sorted(
        {tier.start for value in values if isinstance(value, TieredPrices) for tier in value.tiers}
    )
    bounds = [-1, *starts, MOST_TOKENS]
    for above, up_to in pairwise(bounds):
        prices = _rounded([_at_size(value, above) for value in values])
        yield AiPrice(0, model, valid_from, NO_END, above, up_to, prices, GENAI_PRICES)


def _at_size(value: Decimal | TieredPrices | None, above: int) -> Decimal:
    if value is None:
        return Decimal(0)
    if not isinstance(value, TieredPrices):
        return value
    reached = [tier.price for tier in value.tiers if tier.start <= above]
    return reached[-1] if reached else value.base


def _rounded(prices: list[Decimal]) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    """Prices of the package without the dust that floats left in a few of them."""
    first, second, third, fourth = (
        price.quantize(_SMALLEST, rounding=ROUND_HALF_EVEN) for price in prices
    )
    return first, second, third, fourth


def _exact(model: str, prices: list[Decimal]) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    for price in prices:
        if price != price.quantize(_SMALLEST):
            raise PriceTooFine(model=model, price=price)
    first, second, third, fourth = prices
    return first, second, third, fourth


def _is_change(rows: Sequence[AiPrice], version: tuple[AiPrice, ...]) -> bool:
    own = [row for row in rows if row.model == version[0].model]
    if not own:
        return True
    last_from = max(row.valid_from for row in own)
    last = [_terms(row) for row in own if row.valid_from == last_from]
    return version[0].valid_from > last_from and [_terms(row) for row in version] != last


def _terms(row: AiPrice) -> tuple[object, ...]:
    return (row.tokens_above, row.tokens_up_to, *row.prices)


def _dated(rows: Iterable[AiPrice]) -> tuple[AiPrice, ...]:
    """Rows with the instant at which the model's next price begins."""
    listed = list(rows)
    starts: dict[str, list[datetime]] = {}
    for row in listed:
        starts.setdefault(row.model, []).append(row.valid_from)
    return tuple(
        replace(
            row,
            valid_to=min((s for s in starts[row.model] if s > row.valid_from), default=NO_END),
        )
        for row in listed
    )


def _append(root: DataRoot, rows: Sequence[AiPrice]) -> None:
    """Add rows at the end, durably; a line that a crash left unfinished is taken away first."""
    path = root.ai_prices
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.read_bytes() if path.exists() else b""
    whole = written.rfind(b"\n") + 1
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if not whole:
        writer.writerow(_HEADER)
    for row in rows:
        writer.writerow(_fields(row))
    with path.open("rb+" if path.exists() else "wb") as file:
        file.truncate(whole)
        file.seek(whole)
        file.write(text.getvalue().encode("utf-8"))
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


def _fields(row: AiPrice) -> tuple[str, ...]:
    above = "" if row.tokens_above < 0 else str(row.tokens_above)
    up_to = "" if row.tokens_up_to == MOST_TOKENS else str(row.tokens_up_to)
    prices = (_plain(price) for price in row.prices)
    return (row.model, row.valid_from.isoformat(), above, up_to, *prices, row.source)


def _plain(price: Decimal) -> str:
    text = f"{price:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _price(number: int, fields: Sequence[str]) -> AiPrice:
    try:
        model, valid_from, above, up_to, *prices, source = fields
        first, second, third, fourth = (Decimal(text) for text in prices)
        return AiPrice(
            price_id=number,
            model=model,
            valid_from=datetime.fromisoformat(valid_from).astimezone(UTC),
            valid_to=NO_END,
            tokens_above=int(above) if above else -1,
            tokens_up_to=int(up_to) if up_to else MOST_TOKENS,
            prices=(first, second, third, fourth),
            source=source,
        )
    except (ValueError, ArithmeticError) as error:
        raise DamagedPrices(line=number + 1, why=str(error)) from None
