"""How far long work has come: steps that a function reports and a screen may listen to.

Work reports to whoever listens in its own context; where nobody does, it reports to nobody.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """`done` of `of` parts of the work `name`; `of` is None while it is not known."""

    name: str
    done: int
    of: int | None


Listener = Callable[[Step], None]

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Within the block, `listener` hears every step.

    >>> heard = []
    >>> with listening(heard.append):
    ...     counted("metering")(1, 3)
    >>> heard
    [Step(name='metering', done=1, of=3)]
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def report(name: str, done: int, of: int | None) -> None:
    """Tell the listener, if there is one, how far the work `name` has come."""
    listener = _listener.get()
    if listener is not None:
        listener(Step(name, done, of))


def counted(name: str) -> Callable[[int, int], None]:
    """A function for work that calls back with (done, of)."""
    return lambda done, of: report(name, done, of)
