"""Work that overlaps: a thread makes what is needed next, another writes what is done."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

_WAITING = 2  # bounds the memory: what is made ahead, and what waits to be written


def made_ahead(items: Iterator) -> Iterator:
    """The same items in their order; up to two are made by a thread before they are asked for."""
    with ThreadPoolExecutor(1) as thread:
        waiting = deque(thread.submit(next, items, None) for _ in range(_WAITING))
        while (item := waiting.popleft().result()) is not None:
            waiting.append(thread.submit(next, items, None))
            yield item


@contextmanager
def behind():
    """Yields a function that has a thread do calls in their order, and waits while two are undone.

    All are done at the end, whatever ends it. Raises: what a call has raised.
    """
    waiting = deque()
    with ThreadPoolExecutor(1) as thread:

        def submit(function, *arguments) -> None:
            while len(waiting) >= _WAITING:
                waiting.popleft().result()
            waiting.append(thread.submit(function, *arguments))

        yield submit
        for call in waiting:
            call.result()
