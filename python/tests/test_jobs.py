import json
import threading
import time

import pytest

from espalier_runtime.errors import InputError
from espalier_runtime.jobs import Cancelled, Job, JobContext, Worker, find_job


def test_events_are_numbered_from_one():
    context = JobContext()
    assert [context.emit({"type": "step"})["seq"] for _ in range(3)] == [1, 2, 3]


def test_an_event_that_json_cannot_hold_leaves_no_gap():
    context = JobContext()
    context.emit({})
    with pytest.raises(TypeError):
        context.emit({"gates": {1, 2}})
    assert context.emit({})["seq"] == 2


def test_check_raises_only_after_a_cancel():
    context = JobContext()
    context.check()
    context.cancel()
    assert context.cancelled
    with pytest.raises(Cancelled):
        context.check()


@pytest.fixture
def job(monkeypatch):
    """A job that runs `job.body(context)`."""

    def build(body):
        monkeypatch.setattr("espalier_runtime.jobs.find_job", lambda _name: lambda _payload, context: body(context))
        return Job("any:job", {})

    return build


def test_poll_tells_the_end_only_after_the_last_event(job):
    made = job(lambda context: [context.emit({"index": index}) for index in range(5)] and "result")
    made.run()
    first, state = made.poll(after=0, wait=0, limit=3)
    assert ([json.loads(each)["seq"] for each in first], state) == ([1, 2, 3], "running")
    second, state = made.poll(after=3, wait=0, limit=3)
    assert ([json.loads(each)["seq"] for each in second], state) == ([4, 5], "done")
    assert made.result == '"result"'


def test_poll_tells_an_unconfirmed_event_again(job):
    made = job(lambda context: context.emit({}))
    made.run()
    assert made.poll(0, 0, 10) == made.poll(0, 0, 10)
    assert made.poll(1, 0, 10)[0] == []


def test_poll_returns_as_soon_as_there_is_an_event(job):
    release = threading.Event()

    def body(context):
        context.emit({})
        release.wait(30)

    made = job(body)
    thread = threading.Thread(target=made.run)
    thread.start()
    began = time.monotonic()
    events, state = made.poll(after=0, wait=30, limit=10)
    assert (len(events), state) == (1, "running")
    assert time.monotonic() - began < 15
    release.set()
    thread.join()


def test_poll_waits_no_longer_than_it_is_told():
    events, state = Job("any:job", {}).poll(after=0, wait=0.01, limit=10)
    assert (events, state) == ([], "running")


def test_a_job_cancelled_before_it_starts_never_runs(job):
    made = job(lambda _context: pytest.fail("it ran"))
    made.cancel()
    made.run()
    assert made.state == "cancelled"


def test_a_job_that_records_its_own_exceptions_does_not_swallow_a_cancel(job):
    def body(context):
        context.cancel()
        try:
            context.check()
        except Exception as error:
            return f"trial failed: {error}"

    made = job(body)
    made.run()
    assert made.state == "cancelled"


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3), KeyboardInterrupt()])
def test_whatever_a_job_raises_is_its_error(job, error):
    def body(_context):
        raise error

    made = job(body)
    made.run()
    assert (made.state, made.error) == ("failed", error)


def test_the_worker_runs_jobs_one_after_the_other_on_one_thread(job):
    seen = []
    worker = Worker()
    jobs = [job(lambda _context: seen.append(threading.current_thread().name)) for _ in range(3)]
    for each in jobs:
        worker.start(each)
    for each in jobs:
        assert each.poll(0, 30, 1)[1] == "done"
    assert seen == ["espalier-jobs"] * 3


def test_find_job_returns_the_function():
    assert find_job("espalier_runtime.records.json:dumps").__name__ == "dumps"


@pytest.mark.parametrize("name", ["", "json", "json:", ":dumps", "json:dumps:x", "json.tool:no_such", "os; x:y"])
def test_find_job_refuses_other_names(name):
    with pytest.raises(InputError):
        find_job(name)
