from __future__ import annotations

import time
from dataclasses import replace

import pytest

from fused_jupyter.server_ext.recent import RecentAnswers
from fused_jupyter.wire import Reply, Run

RUN = Run(id=1, udf="u", digest="d1", tile=(1, 0, 1), parameters={"n": "1"})
REPLY = Reply(id=1, media_type="image/png", etag='"e"', max_age=60, digest="d1", kernel="k")


@pytest.fixture
def recent() -> RecentAnswers:
    """Room for 100 bytes, with one answer in it."""
    recent = RecentAnswers(10_000)
    recent.put("k", RUN, REPLY, b"tile")
    return recent


def test_the_same_request_has_the_same_answer(recent: RecentAnswers) -> None:
    """Whatever its number, and whichever part is wanted of it; it is marked as kept."""
    found = recent.get("k", replace(RUN, id=7, part=(0, 2)))

    assert found is not None
    reply, body = found
    assert (reply.id, reply.cached, body) == (7, True, b"tile")
    assert 58 <= reply.max_age <= 60


@pytest.mark.parametrize(
    "change",
    [
        {"udf": "other"},
        {"digest": "d2"},
        {"digest": None},
        {"share": "s"},
        {"tile": (1, 1, 1)},
        {"tile": None},
        {"parameters": {"n": "2"}},
        {"parameters": {"n": ["1"]}},
        {"extension": "png"},
        {"format": "png"},
        {"dtype_out_raster": "png"},
        {"dtype_out_vector": "csv"},
        {"accept": "text/csv"},
        {"cache_max_age": "1h"},
    ],
    ids=str,
)
def test_any_other_request_has_another(change: dict[str, object], recent: RecentAnswers) -> None:
    """Nothing that a request says is left out of the comparison."""
    assert recent.get("k", replace(RUN, **change)) is None


def test_another_state_of_the_host_has_none(recent: RecentAnswers) -> None:
    """A registration, another kernel: ask again."""
    assert recent.get("k later", RUN) is None


def test_an_answer_gets_old(monkeypatch: pytest.MonkeyPatch, recent: RecentAnswers) -> None:
    """When its time is over it is not given any more."""
    now = time.monotonic()
    monkeypatch.setattr("time.monotonic", lambda: now + 61)

    assert recent.get("k", RUN) is None


@pytest.mark.parametrize(
    "change",
    [{"status": 204}, {"status": 422}, {"max_age": 0}, {"digest": "newer"}, {"length": 9}, {"recheck": True}],
    ids=str,
)
def test_what_may_not_be_kept_is_not(change: dict[str, object]) -> None:
    """Errors, answers without age, parts, those of another version than was asked for, or of the user's own modules."""
    recent = RecentAnswers(10_000)

    recent.put("k", RUN, replace(REPLY, **change), b"x")

    assert recent.get("k", RUN) is None


def test_the_etag_is_answered_without_a_body(recent: RecentAnswers) -> None:
    """304, as the host would."""
    found = recent.get("k", replace(RUN, if_none_match='"other", "e"'))

    assert found is not None
    assert (found[0].status, found[1]) == (304, b"")


def test_the_one_asked_for_longest_ago_goes_first(recent: RecentAnswers) -> None:
    """The size is kept; an answer that replaces itself is counted once."""
    second, third = (replace(RUN, parameters={"n": n}) for n in "23")
    recent.put("k", second, REPLY, b"x" * 6000)
    recent.put("k", second, REPLY, b"y" * 6000)
    assert recent.get("k", RUN) is not None

    recent.put("k", third, REPLY, b"z" * 5000)

    assert recent.get("k", second) is None
    assert recent.get("k", RUN) is not None
    assert recent.get("k", third) is not None


def test_empty_answers_take_room_too() -> None:
    """A caller who counts up gets no endless memory for it."""
    recent = RecentAnswers(10_000)
    runs = [replace(RUN, parameters={"n": str(n)}) for n in range(1000)]

    for run in runs:
        recent.put("k", run, REPLY, b"")

    assert 1 <= sum(recent.get("k", run) is not None for run in runs) <= 10


def test_a_huge_answer_is_not_kept() -> None:
    """It would push out all others."""
    recent = RecentAnswers(10 << 20)

    recent.put("k", RUN, REPLY, bytes((1 << 20) + 1))

    assert recent.get("k", RUN) is None
