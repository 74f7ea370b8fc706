from __future__ import annotations

import asyncio

import pytest
from tornado.iostream import StreamClosedError

from fused_jupyter.server_ext.base import FusedHandler


@pytest.mark.parametrize("error", [StreamClosedError(), asyncio.CancelledError()])
def test_a_browser_that_left_is_no_error(error: BaseException) -> None:
    """There is nobody to be told, and nothing for the log, which this handler without settings could not write."""
    handler = FusedHandler.__new__(FusedHandler)
    handler._is_gone = True

    handler._handle_request_exception(error)


def test_a_connection_that_is_found_closed_is_no_error() -> None:
    """An answer may meet that before the handler is told."""
    handler = FusedHandler.__new__(FusedHandler)

    handler._handle_request_exception(StreamClosedError())


def test_a_call_that_is_cancelled_by_somebody_else_is_one() -> None:
    """It goes on to where the log is written."""
    handler = FusedHandler.__new__(FusedHandler)

    with pytest.raises(AttributeError):
        handler._handle_request_exception(asyncio.CancelledError())
