import json
import os
import sys

import pytest

from espalier_runtime import service
from espalier_runtime.errors import InputError


def call(method, **payload):
    return json.loads(service.dispatch(method, json.dumps(payload)))


def run(job, **payload):
    """The last poll of a job, with the events of every poll."""
    number = call("start", job=job, payload=payload)["ok"]["job"]
    events = []
    while True:
        after = events[-1]["seq"] if events else 0
        answer = call("poll", job=number, after=after, waitMs=1000)["ok"]
        events += answer["events"]
        if answer["state"] != "running":
            return answer | {"events": events}


def echo(payload, context):
    context.emit({"type": "said", "loss": float("nan")})
    return payload


def fail(_payload, _context):
    try:
        raise KeyError("label")
    except KeyError:
        raise InputError("row 7 has no label", mend="Add one.")  # noqa: B904


def fail_from_none(_payload, _context):
    try:
        raise KeyError("inner")
    except KeyError:
        raise ValueError("outer") from None


def fail_without_words(_payload, _context):
    raise UnreadableError


class UnreadableError(Exception):
    def __str__(self):
        raise RuntimeError


def test_hello_tells_the_interpreter_and_its_packages():
    hello = call("hello")["ok"]
    assert hello["pid"] == os.getpid()
    assert sys.version.startswith(hello["python"])
    assert "pytest" in hello["packages"]


def test_a_job_is_started_and_followed_to_its_result():
    assert run("test_service:echo", x=[1, None]) == {
        "events": [{"type": "said", "loss": "NaN", "seq": 1}],
        "state": "done",
        "result": {"x": [1, None]},
    }


def test_a_failure_crosses_with_all_that_is_known_of_it():
    error = run("test_service:fail")["error"]
    assert (error["type"], error["code"]) == ("InputError", "input")
    assert (error["message"], error["mend"]) == ("row 7 has no label", "Add one.")
    assert "in fail\n" in error["traceback"]
    assert (error["cause"]["type"], error["cause"]["code"]) == ("KeyError", "run")
    assert error["cause"]["cause"] is None


def test_an_exception_whose_message_cannot_be_read_crosses_all_the_same():
    error = run("test_service:fail_without_words")["error"]
    assert error["type"] == "UnreadableError"
    assert error["message"] == "(the exception has a message that cannot be read)"


def test_causes_that_lead_in_a_circle_are_told_once():
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    told = service.describe(first)
    assert told["cause"]["message"] == "second"
    assert told["cause"]["cause"] is None


def test_an_exception_raised_from_none_has_no_cause():
    assert run("test_service:fail_from_none")["error"]["cause"] is None


@pytest.mark.parametrize(
    ("method", "payload", "message"),
    [
        ("train", "{}", 'The service has no method "train"'),
        ("poll", '{"job": 0, "after": 0, "waitMs": 0}', "There is no job 0"),
        ("start", '{"job": "a:b"}', "payload must be an object"),
        ("start", '{"job": 5, "payload": {}}', "job must be a string; given: 5"),
        ("cancel", '{"job": true}', "job must be a whole number of at least 0; given: True"),
    ],
)
def test_a_wrong_call_is_answered_with_an_error(method, payload, message):
    error = json.loads(service.dispatch(method, payload))["error"]
    assert error["type"] == "InputError"
    assert message in error["message"]


def test_a_payload_that_is_not_json_is_answered_with_an_error():
    assert json.loads(service.dispatch("ping", "{"))["error"]["type"] == "JSONDecodeError"


def test_a_cancel_of_a_job_that_has_ended_is_no_error():
    run("test_service:echo")
    assert call("cancel", job=1) == {"ok": {}}
