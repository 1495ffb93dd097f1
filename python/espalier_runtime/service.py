"""The only module that TypeScript calls: `dispatch(method, payload)`, JSON in and JSON out, short calls only.

    open    {log}                    -> {}            once, first: see `interpreter.settle`
    hello   {}                       -> {python, pid, packages}
    ping    {}                       -> {}
    start   {job, payload}           -> {job}         queue a job; its number
    poll    {job, after, waitMs}     -> {events, state, result?, error?}
    cancel  {job}                    -> {}
    close   {}                       -> {}            cancel every job

No call raises, because an exception reaches TypeScript without its message: the answer is `{"ok": ...}` or
`{"error": {type, code, message, mend, traceback, cause}}`.
"""

import importlib.metadata
import itertools
import json
import os
import platform
import traceback
from collections.abc import Callable

from espalier_runtime import interpreter
from espalier_runtime.errors import EspalierError, InputError
from espalier_runtime.jobs import Job, Worker
from espalier_runtime.records.json import dumps

Payload = dict[str, object]

# One answer holds at most this many events, so that a burst crosses in pieces of about a megabyte.
EVENTS_PER_POLL = 5_000

_worker = Worker()
_jobs: dict[int, Job] = {}
_numbers = itertools.count(1)


def dispatch(method: str, payload: str) -> str:
    """Answer one call; see the module's text for the methods."""
    try:
        answer = _methods.get(method)
        if answer is None:
            raise InputError(f'The service has no method "{method}"; it has {", ".join(_methods)}.')
        return f'{{"ok":{answer(json.loads(payload))}}}'
    except BaseException as error:
        return f'{{"error":{dumps(describe(error))}}}'


def describe(error: BaseException) -> dict[str, object]:
    """An exception and the chain of those that led to it, in the form that crosses the bridge."""
    return _describe(error, set())


def _open(payload: Payload) -> str:
    interpreter.settle(_text(payload, "log"))
    return "{}"


def _hello(_payload: Payload) -> str:
    return dumps({"python": platform.python_version(), "pid": os.getpid(), "packages": _packages()})


def _ping(_payload: Payload) -> str:
    return "{}"


def _start(payload: Payload) -> str:
    body = payload.get("payload")
    if not isinstance(body, dict):
        raise InputError("start: payload must be an object.")
    job, number = Job(_text(payload, "job"), body), next(_numbers)
    _jobs[number] = job
    _worker.start(job)
    return dumps({"job": number})


def _poll(payload: Payload) -> str:
    number = _whole(payload, "job")
    job = _jobs.get(number)
    if job is None:
        raise InputError(f"There is no job {number}, or its end was already told.")
    events, state = job.poll(_whole(payload, "after"), _whole(payload, "waitMs") / 1000, EVENTS_PER_POLL)
    parts = [f'"events":[{",".join(events)}]', f'"state":"{state}"']
    if state != "running":
        del _jobs[number]
    if state == "done":
        parts.append(f'"result":{job.result}')
    if job.error is not None and state == "failed":
        parts.append(f'"error":{dumps(describe(job.error))}')
    return f"{{{','.join(parts)}}}"


def _cancel(payload: Payload) -> str:
    job = _jobs.get(_whole(payload, "job"))
    # A job that has just ended needs no cancel; whoever asks learns of the end by polling.
    if job is not None:
        job.cancel()
    return "{}"


def _close(_payload: Payload) -> str:
    for job in _jobs.values():
        job.cancel()
    interpreter.flush()
    return "{}"


_methods: dict[str, Callable[[Payload], str]] = {
    "open": _open,
    "hello": _hello,
    "ping": _ping,
    "start": _start,
    "poll": _poll,
    "cancel": _cancel,
    "close": _close,
}


def _packages() -> dict[str, str]:
    """Every installed package and its version."""
    found = [(each.name, each.version) for each in importlib.metadata.distributions()]
    # Where a package is installed twice, the first on the path is the one that is imported. A package whose
    # removal was interrupted has neither name nor version.
    return {name: version for name, version in reversed(found) if name and version}


def _text(payload: Payload, key: str) -> str:
    value = payload.get(key)
    if not isinstance(value, str):
        raise InputError(f"{key} must be a string; given: {value!r}.")
    return value


def _whole(payload: Payload, key: str) -> int:
    value = payload.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InputError(f"{key} must be a whole number of at least 0; given: {value!r}.")
    return value


def _describe(error: BaseException, seen: set[int]) -> dict[str, object]:
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return {
        "type": type(error).__name__,
        "code": "input" if isinstance(error, InputError) else "run",
        "message": _message(error),
        "mend": error.mend if isinstance(error, EspalierError) else None,
        "traceback": "".join(traceback.format_exception(type(error), error, error.__traceback__, chain=False)),
        # An exception may, by way of its context, lead to itself.
        "cause": None if before is None or id(before) in seen else _describe(before, seen),
    }


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "(the exception has a message that cannot be read)"
