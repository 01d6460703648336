"""What the real logs cost, worked out without the project: csv, re, fractions, hashlib.

Quantities and costs are exact; a customer's amount is rounded once, half away from zero.
"""

import csv
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

INPUT_PRICE, OUTPUT_PRICE = Fraction(15, 100), Fraction(60, 100)
"""Money per million tokens of openai/gpt-4o-mini, as genai-prices had it on 2026-11-24."""
MARGIN = Fraction(20, 100)
RATE_UNITS = 10_000
"""Rate units in one unit of money, where the cost of each request is rounded up to one."""

BYTES_A_GB, PRICE_A_GB = 10**9, Fraction(90, 100)
_LINE = re.compile(r'(\S+) \S+ \S+ \[[^\]]*\] "(?:[^"\\]|\\.)*" \d+ (\d+|-)(?: |$)')


@dataclass(frozen=True, slots=True)
class Request:
    """One row of a trace."""

    customer: str
    input_tokens: int
    output_tokens: int


def requests(paths: Sequence[Path]) -> Iterator[Request]:
    """The rows of the traces, each with the customer that the hash of its row gives."""
    for path in paths:
        with path.open(encoding="utf-8", newline="") as file:
            for row in list(csv.reader(file))[1:]:
                digest = hashlib.md5(",".join(row).encode()).digest()
                customer = int.from_bytes(digest[:4], "big") % 50
                yield Request(f"customer-{customer:02}", int(row[1]), int(row[2]))


def token_cents(asked: Sequence[Request], *, is_per_event: bool) -> dict[str, int]:
    """Cents by customer: exact and rounded once, or with each request rounded up."""
    costs: dict[str, Fraction] = defaultdict(Fraction)
    for request in asked:
        parts = (
            request.input_tokens * INPUT_PRICE / 1_000_000,
            request.output_tokens * OUTPUT_PRICE / 1_000_000,
        )
        if is_per_event:
            units = sum(up(part * RATE_UNITS) for part in parts)
            costs[request.customer] += Fraction(units + up(units * MARGIN), RATE_UNITS)
        else:
            costs[request.customer] += sum(parts) * (1 + MARGIN)
    return {customer: cents(cost) for customer, cost in costs.items()}


def bytes_by_client(path: Path) -> tuple[dict[str, int], int]:
    """Bytes by client address, 0 where no line has a count; and how many lines have none."""
    sent: dict[str, int] = {}
    without_count = 0
    with path.open(encoding="utf-8") as file:
        for line in file:
            found = _LINE.match(line)
            if found is None:
                raise ValueError(f"this line is not of the combined log format: {line}")
            client, count = found.groups()
            without_count += count == "-"
            sent[client] = sent.get(client, 0) + (0 if count == "-" else int(count))
    return sent, without_count


def bandwidth_cents(sent: dict[str, int], *, included: Fraction) -> dict[str, int]:
    """Cents by client address for what it was sent above the included gigabytes."""
    return {
        client: cents(max(Fraction(count, BYTES_A_GB) - included, Fraction(0)) * PRICE_A_GB)
        for client, count in sent.items()
    }


def up(exact: Fraction) -> int:
    """The next whole number that is not below."""
    return -(-exact.numerator // exact.denominator)


def cents(exact: Fraction) -> int:
    """The nearest whole cent of an amount that is not negative; a half goes up."""
    return (200 * exact.numerator + exact.denominator) // (2 * exact.denominator)
