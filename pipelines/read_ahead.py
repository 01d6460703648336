"""A `map` over a pool of threads that begins a few items before their turn."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

Spread = Callable[..., Iterable[Any]]
"""`map`, or `read_ahead` on a pool of threads."""

AHEAD = 4


def read_ahead(
    pool: ThreadPoolExecutor, function: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[Result]:
    """The results in order of the items; a few more are begun, and held in memory.

    `ThreadPoolExecutor.map` begins all of them at once.

    >>> with ThreadPoolExecutor(2) as pool:
    ...     list(read_ahead(pool, abs, [-1, 2, -3]))
    [1, 2, 3]
    """
    begun: deque[Future[Result]] = deque()
    for item in items:
        begun.append(pool.submit(function, item))
        if len(begun) > AHEAD:
            yield begun.popleft().result()
    while begun:
        yield begun.popleft().result()
