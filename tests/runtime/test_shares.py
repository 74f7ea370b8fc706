"""What tokens open, and how much of it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from fused_jupyter.errors import ArgumentError, FormatError, RateError, ShareError, TileError
from fused_jupyter.runtime.shares import NOTHING, Shares, within
from fused_jupyter.wire import Limits, Run


def run(**fields: Any) -> Run:
    return Run(id=1, **fields)


def test_a_live_token_opens_one_name_until_it_is_revoked() -> None:
    """Whatever name it is used with."""
    shares = Shares()
    shares.grant("s", "quakes", Limits(rate=5.0))

    assert shares.open("s", "other").name == "quakes"
    assert shares.open("s", "").limits.rate == 5.0
    assert shares.live == ("s",)
    shares.revoke("s")
    with pytest.raises(ShareError, match=NOTHING):
        shares.open("s", "")


def test_an_expired_token_is_as_an_unknown_one() -> None:
    """Not even its description is given."""
    shares = Shares()
    shares.grant("old", "quakes", Limits(expires=time.time() - 1))

    told = []
    for share in ("old", "never there"):
        for ask in (lambda share=share: shares.open(share, ""), lambda share=share: shares.describe(share)):
            with pytest.raises(ShareError) as caught:
                ask()
            told.append(caught.value.to_wire())
    assert told == [told[0]] * 4


def test_rate_lets_bursts_through_and_says_when_to_come_again() -> None:
    """Twice a second's requests at once, then one at a time."""
    shares, limits = Shares(), Limits(rate=4.0)
    for _ in range(8):
        shares.note("s", limits)

    with pytest.raises(RateError, match="4 requests per second") as caught:
        shares.note("s", limits)
    assert caught.value.retry_after == 1
    assert caught.value.status == 429
    shares.note("another", limits)
    time.sleep(0.3)
    shares.note("s", limits)


def test_a_rate_below_one_allows_single_requests() -> None:
    """One in ten seconds; the next one has to wait as long."""
    shares, limits = Shares(), Limits(rate=0.1)
    shares.note("s", limits)
    with pytest.raises(RateError) as caught:
        shares.note("s", limits)
    assert caught.value.retry_after in {10, 11}


def test_no_rate_counts_nothing() -> None:
    """Of most tokens nothing is kept."""
    shares = Shares()
    for _ in range(1000):
        shares.note("s", Limits())
    assert not shares._paces


def test_arguments_that_may_not_come_are_refused_by_name() -> None:
    """And the message says which may."""
    limits = Limits(parameters=("min_mag", "year"))
    assert within(limits, run(parameters={"min_mag": "5"})).parameters == {"min_mag": "5"}
    with pytest.raises(ArgumentError, match=r"'path'; it allows min_mag, year"):
        within(limits, run(parameters={"min_mag": "5", "path": "/etc/passwd"}))
    with pytest.raises(ArgumentError, match="allows none"):
        within(Limits(parameters=()), run(parameters={"min_mag": "5"}))


def test_zooms_outside_are_refused() -> None:
    """Files have none."""
    limits = Limits(zooms=(3, 9))
    within(limits, run(tile=(3, 0, 0)))
    within(limits, run(tile=None))
    for zoom in (2, 10):
        with pytest.raises(TileError, match="the zooms 3 to 9"):
            within(limits, run(tile=(zoom, 0, 0)))


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ({}, {"format": "png,csv", "accept": None}),
        ({"accept": "application/vnd.apache.parquet"}, {"format": "png,csv", "accept": None}),
        ({"extension": "csv"}, {"extension": "csv", "format": None}),
        ({"format": "parquet,csv"}, {"format": "csv"}),
        ({"dtype_out_raster": "png", "dtype_out_vector": "parquet"}, {"format": "png", "dtype_out_vector": None}),
    ],
    ids=str,
)
def test_of_formats_only_allowed_ones_are_left(asked: dict[str, Any], given: dict[str, Any]) -> None:
    """Where none is named, those that are allowed are; the header `Accept` opens no other one."""
    allowed = within(Limits(formats=("png", "csv")), run(**asked))
    assert {name: getattr(allowed, name) for name in given} == given


@pytest.mark.parametrize(
    "asked",
    [
        {"extension": "parquet"},
        {"format": "parquet"},
        {"dtype_out_vector": "parquet"},
        {"extension": "parquet", "format": "csv"},
        {"extension": "parquet", "dtype_out_raster": "png"},
    ],
    ids=str,
)
def test_formats_that_may_not_be_asked_for_are_refused(asked: dict[str, Any]) -> None:
    """However they are named."""
    with pytest.raises(FormatError, match="'parquet'; it allows png, csv"):
        within(Limits(formats=("png", "csv")), run(**asked))


def test_a_token_without_formats_gives_nothing() -> None:
    """Not even what comes where none is named."""
    with pytest.raises(FormatError, match="any format"):
        within(Limits(formats=()), run())


def test_a_token_without_cache_runs_each_time_and_holds_its_own_slots() -> None:
    """Whatever the address says."""
    allowed = within(Limits(cache=False, concurrency=2), run(cache_max_age="1d"))
    assert (allowed.cache_max_age, allowed.slots) == ("0", 2)
    assert within(Limits(), run(cache_max_age="1d")).cache_max_age == "1d"
