from __future__ import annotations

import ast
import contextlib
import inspect
import typing

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fused_jupyter.errors import ProtocolError, UdfRuntimeError
from fused_jupyter.runtime import commands, listener
from fused_jupyter.wire import (
    Ask,
    Cancel,
    DeleteResults,
    Describe,
    Described,
    DescribeResults,
    DescribeShare,
    Environment,
    Failure,
    GiveBack,
    Grant,
    Heard,
    KernelAnswer,
    KernelRun,
    Lease,
    ListResults,
    Message,
    Noted,
    Output,
    Publish,
    Published,
    Recall,
    Reply,
    Revoke,
    Run,
    Share,
    Status,
    Stop,
    UdfSummary,
    decode,
    encode,
)

text = st.text(st.characters(codec="utf-8"), max_size=20)
number = st.integers(0, 2**53)
mapping = st.dictionaries(text, st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), text), max_size=4)
mappings = st.lists(mapping, max_size=3).map(tuple)
maybe = st.one_of(st.none(), text)

MESSAGES: dict[type, st.SearchStrategy[Message]] = {
    Run: st.builds(
        Run,
        id=number,
        udf=text,
        digest=maybe,
        share=maybe,
        slots=number,
        headers=st.none() | st.dictionaries(text, text, max_size=3),
        tile=st.none() | st.tuples(number, number, number),
        parameters=st.none() | mapping,
        extension=maybe,
        accept=maybe,
        arguments_digest=text,
        arguments_text=text,
        part=st.none() | st.tuples(st.integers(-(2**53), 2**53), st.none() | number),
        if_range=maybe,
        returns=st.sampled_from(["encoded", "object"]),
        deadline=st.none() | st.floats(0, 1e6),
        stream=st.booleans(),
        profile=st.booleans(),
        arena=st.booleans(),
    ),
    Cancel: st.builds(Cancel, id=number),
    KernelRun: st.builds(KernelRun, number=number, run=text),
    KernelAnswer: st.builds(KernelAnswer, id=number, number=number, answer=text),
    Stop: st.builds(Stop, id=number, run_id=text),
    Noted: st.builds(Noted, tallies=mapping, answered=st.dictionaries(text, number, max_size=3)),
    Output: st.builds(Output, id=number, stream=st.sampled_from(["stdout", "stderr"]), text=text),
    Reply: st.builds(
        Reply,
        id=number,
        media_type=text,
        etag=text,
        cached=st.booleans(),
        headers=st.dictionaries(text, text, max_size=3),
        length=st.none() | number,
        buffers=st.lists(number).map(tuple),
        files=st.lists(st.tuples(text, number, number).map(list), max_size=2).map(tuple),
        recheck=st.booleans(),
        stdout=text,
        profile=st.none() | st.dictionaries(text, st.dictionaries(text, st.lists(number, min_size=2, max_size=2))),
    ),
    Failure: st.builds(
        Failure, id=number, error=mapping, stdout=text, stderr=text, seconds=st.floats(0, 1e6), peak_memory=number
    ),
    Publish: st.builds(Publish, id=number, definition=mapping, register=st.booleans()),
    Published: st.builds(Published, udfs=mappings, shares=st.lists(text).map(tuple), epoch=number),
    Heard: st.builds(Heard, id=number, serial=number),
    Describe: st.builds(Describe, id=number),
    Described: st.builds(Described, id=number, udfs=mappings, shares=st.lists(text).map(tuple), epoch=number),
    Status: st.builds(Status, id=number),
    Environment: st.builds(Environment, id=number, variables=st.dictionaries(text, text, max_size=4)),
    DescribeResults: st.builds(DescribeResults, id=number),
    ListResults: st.builds(ListResults, id=number, udf=maybe, limit=number),
    DeleteResults: st.builds(DeleteResults, id=number, udf=maybe),
    Ask: st.builds(Ask, id=number, what=text, arguments=mapping),
    DescribeShare: st.builds(DescribeShare, id=number, share=text),
    Grant: st.builds(Grant, id=number, share=text, udf=text, limits=mapping),
    Revoke: st.builds(Revoke, id=number, share=text),
    Share: st.builds(Share, id=number),
    Lease: st.builds(Lease, id=number, digest=text),
    GiveBack: st.builds(
        GiveBack,
        id=number,
        lease=number,
        known=st.lists(text).map(tuple),
        counts=st.dictionaries(text, number, max_size=3),
        lost=text,
        kill=st.booleans(),
    ),
    Recall: st.builds(Recall, lease=number),
}


def test_every_kind_is_tried_here() -> None:
    """A new message needs its line above."""
    assert set(MESSAGES) == set(typing.get_args(Message))


@given(st.one_of(*MESSAGES.values()))
def test_message_comes_out_as_it_went_in(message: Message) -> None:
    """Kind, fields and their types are the same."""
    assert decode(encode(message)) == message


@given(st.one_of(*MESSAGES.values()), mapping)
def test_fields_of_a_newer_peer_are_passed_over(message: Message, more: dict[str, object]) -> None:
    """An old peer understands what it knows."""
    kind, fields = orjson.loads(encode(message))
    extended = {f"new_{name}": value for name, value in more.items()} | fields

    assert decode(orjson.dumps([kind, extended])) == message


@given(text, text, text, st.floats(0, 1e6), number)
def test_error_comes_back_with_what_is_known_of_its_run(
    message: str, stdout: str, stderr: str, seconds: float, peak_memory: int
) -> None:
    """Its class, its line, and what the run had printed and cost."""
    error = UdfRuntimeError(message, line=3, udf="f")
    error.stdout, error.stderr, error.seconds, error.peak_memory = stdout, stderr, seconds, peak_memory

    failure = decode(encode(Failure.of(7, error)))
    assert isinstance(failure, Failure)
    again = failure.to_error()

    assert (type(again), again.line, failure.id) == (UdfRuntimeError, 3, 7)
    assert vars(again) == vars(error)


@pytest.mark.parametrize(
    "header",
    [b"", b"x", b"{}", b"[]", b"null", b"7", b'["Run"]', b'["Run",{}]', b'["Run",[]]',
     b'["Run",{"id":"1"}]', b'["Run",{"id":null}]',
     b'["Nobody",{"id":1}]', b'[["Run"],{"id":1}]', b"[{},{}]", b'["Grant",{"id":1}]',
     b"\xff\xfe", b'["Cancel",{"id":1}] x'],
)  # fmt: skip
def test_what_is_no_message_is_refused(header: bytes) -> None:
    """With an error of ours, which the connection expects."""
    with pytest.raises(ProtocolError):
        decode(header)


@given(st.binary(max_size=100) | st.text(max_size=50).map(str.encode))
def test_garbage_never_raises_anything_else(header: bytes) -> None:
    """Whatever a stranger sends."""
    with contextlib.suppress(ProtocolError):
        decode(header)


def test_summary_holds_no_code() -> None:
    """What servers learn of a UDF is not its source."""
    assert "source" not in UdfSummary.__dataclass_fields__


def test_host_takes_every_message_that_is_sent_to_it() -> None:
    """A kind that asks something has its case in the listener, or its line among the commands of the kernel."""
    nodes = [node for module in (listener, commands) for node in ast.walk(ast.parse(inspect.getsource(module)))]
    tested: list[ast.expr] = [key for node in nodes if isinstance(node, ast.Dict) for key in node.keys if key]
    tested += [node.cls for node in nodes if isinstance(node, ast.MatchClass)]
    tested += [node.args[1] for node in nodes if isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance"]

    others_hear = {"Output", "Reply", "Failure", "Published", "Described", "Recall", "Share", "KernelRun"}
    assert {kind.__name__ for kind in MESSAGES} - others_hear <= {ast.unparse(kind) for kind in tested}
