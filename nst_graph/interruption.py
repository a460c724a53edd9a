"""SIGINT and SIGTERM as requests: a run ends between two steps, with everything written.

The first signal is noted where the work has said that it will look (``deferred``), and raises
``Interrupted`` anywhere else. Handlers are of the whole process, and Python calls them in its main
thread; elsewhere there is nothing to set up, and ``StopRequest`` is never made.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Literal

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A signal asked this process to end.

    Args:
        signum: SIGINT or SIGTERM.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(f"by {signal.Signals(signum).name}")
        self.signum = signum

    @property
    def exit_code(self) -> int:
        return exit_code_of(self.signum)


def exit_code_of(signum: int) -> int:
    """130 for SIGINT, 143 for SIGTERM: what a shell says of a process that a signal has ended."""
    return 128 + signum


class StopRequest:
    """Whether a signal has asked for the end, and who deals with it.

    Args:
        repeated: what a second signal does: "stop" raises ``Interrupted`` wherever the process is;
            "ignore" is for processes that get one signal from several sides.

    Attributes:
        signum: of the first signal; None before it.
    """

    def __init__(self, repeated: Literal["stop", "ignore"] = "stop") -> None:
        self.signum: int | None = None
        self._repeated = repeated
        self._deferred = False

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Inside, the first signal is only noted: look at ``signum``."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    def check(self) -> None:
        """Raise ``Interrupted`` if the end was asked for."""
        if self.signum is not None:
            raise Interrupted(self.signum)

    def handle(self, signum: int, frame: FrameType | None) -> None:
        """The signal handler."""
        first, self.signum = self.signum is None, self.signum or signum
        if (first and self._deferred) or (not first and self._repeated == "ignore"):
            return
        raise Interrupted(self.signum)


_current: StopRequest | None = None


@contextmanager
def stop_request(repeated: Literal["stop", "ignore"] = "stop") -> Iterator[StopRequest]:
    """Take in SIGINT and SIGTERM; within another such context, it is that one's request."""
    global _current
    if threading.current_thread() is not threading.main_thread():
        yield StopRequest()
        return
    if _current is not None:
        yield _current
        return
    request = _current = StopRequest(repeated)
    before = {number: signal.signal(number, request.handle) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            # None: it was not set from Python, which cannot put it back either.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        _current = None
