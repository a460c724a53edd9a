"""Values out of a call that does not return: a thread that waits while its values are looked at."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")


class _Abandoned(BaseException):
    """Raised in the working thread when nobody wants its values any more."""


def lockstep(work: Callable[[Callable[[T], None]], None]) -> Iterator[T]:
    """Run ``work(emit)`` in a thread and yield what it emits.

    The thread stands still between an emission and the request for the next, so that the two never
    run at the same time. What ``work`` raises is raised here. If the generator is closed early,
    ``emit`` raises in the thread, and the generator ends when the thread has.
    """
    emitted: queue.SimpleQueue[tuple[T] | BaseException | None] = queue.SimpleQueue()
    wanted = threading.Semaphore(0)
    abandoned = threading.Event()

    def emit(value: T) -> None:
        emitted.put((value,))
        wanted.acquire()
        if abandoned.is_set():
            raise _Abandoned

    def body() -> None:
        end: BaseException | None = None
        try:
            work(emit)
        except _Abandoned:
            pass
        except BaseException as error:
            end = error
        emitted.put(end)

    thread = threading.Thread(target=body, name="lockstep", daemon=True)
    thread.start()
    try:
        while (item := emitted.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item[0]
            wanted.release()
    finally:
        abandoned.set()
        wanted.release()
        thread.join()
