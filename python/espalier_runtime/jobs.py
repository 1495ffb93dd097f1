"""Jobs: long work on a thread of its own, followed and cancelled by short calls.

A job is any function `(payload, context) -> result` whose result JSON can hold, named "module:function".
"""

import importlib
import itertools
import queue
import re
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Literal

from espalier_runtime.errors import InputError
from espalier_runtime.records.json import dumps

JobFunction = Callable[[dict[str, object], "JobContext"], object]
State = Literal["running", "done", "failed", "cancelled"]


# Not an Exception: a trial that records its failure with `except Exception` must not record a cancel as one.
class Cancelled(BaseException):
    """The user asked the job to stop, and it stops."""


class JobContext:
    """What a job says to, and hears from, whoever started it. It needs no service: a test may build one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._cancel = threading.Event()
        self._events: deque[tuple[int, str]] = deque()
        self._seq = 0

    def emit(self, event: Mapping[str, object]) -> dict[str, object]:
        """Queue `event` for the caller; return it with its number `seq`: 1, 2, 3, ... as emitted.

        Raises:
            TypeError: the event holds something that JSON has no form for. It takes no number.
        """
        with self._changed:
            numbered: dict[str, object] = {**event, "seq": self._seq + 1}
            text = dumps(numbered)
            self._seq += 1
            self._events.append((self._seq, text))
            self._changed.notify_all()
        return numbered

    def check(self) -> None:
        """Raise `Cancelled` if the user asked to stop. A training loop calls it each step."""
        if self.cancelled:
            raise Cancelled

    @property
    def cancelled(self) -> bool:
        """Whether the user asked to stop."""
        return self._cancel.is_set()

    def cancel(self) -> None:
        """Ask the job to stop at its next `check`."""
        self._cancel.set()


class Job(JobContext):
    """One job and how it ended."""

    def __init__(self, name: str, payload: dict[str, object]) -> None:
        super().__init__()
        self.name = name
        self.payload = payload
        self.state: State = "running"
        self.result = "null"
        self.error: BaseException | None = None

    def run(self) -> None:
        """Run to the end on the calling thread; whatever the job raises becomes its `state` and `error`."""
        state: State = "cancelled"
        try:
            self.check()
            self.result = dumps(find_job(self.name)(self.payload, self))
            state = "done"
        except Cancelled:
            pass
        except BaseException as error:
            self.error = error
            state = "failed"
        with self._changed:
            self.state = state
            self._changed.notify_all()

    def poll(self, after: int, wait: float, limit: int) -> tuple[list[str], State]:
        """The events numbered above `after`, as JSON, at most `limit` of them, and the job's state.

        Waits up to `wait` seconds for the first event or the end. Events up to `after` are forgotten. While
        the limit holds events back the state is "running", whatever became of the job: the end is told last.
        """
        with self._changed:
            while self._events and self._events[0][0] <= after:
                self._events.popleft()
            self._changed.wait_for(lambda: self._events or self.state != "running", timeout=wait)
            events = [text for _, text in itertools.islice(self._events, limit)]
            return events, self.state if len(events) == len(self._events) else "running"


class Worker:
    """The one thread that runs jobs, in the order in which they were started."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self, job: Job) -> None:
        """Queue `job` and return at once."""
        if self._thread is None:
            # A daemon, so that a step that never ends cannot keep the interpreter alive.
            self._thread = threading.Thread(target=self._work, name="espalier-jobs", daemon=True)
            self._thread.start()
        self._waiting.put(job)

    def _work(self) -> None:
        while True:
            self._waiting.get().run()


def find_job(name: str) -> JobFunction:
    """The function that a name such as "espalier_runtime.runner:run_plan" stands for.

    Raises:
        InputError: the name has another form, or the module holds no such function.
    """
    if not re.fullmatch(r"[\w.]+:\w+", name):
        raise InputError(f'A job is named "module:function"; given: "{name}".')
    module, function = name.split(":")
    found = getattr(importlib.import_module(module), function, None)
    if not callable(found):
        raise InputError(f'There is no job "{name}": the module {module} has no function {function}.')
    return found  # type: ignore[no-any-return]
