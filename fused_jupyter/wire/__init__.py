"""What crosses a process border: frames, messages, the client of a host, and the file by which a host is found."""

from fused_jupyter.wire.announcement import Announcement
from fused_jupyter.wire.client import Client, connect
from fused_jupyter.wire.frames import (
    MAX_BODY,
    MAX_HEADER,
    pack,
    read_frame,
    read_frame_sync,
    write_frame_sync,
)
from fused_jupyter.wire.handshake import PROTOCOL
from fused_jupyter.wire.messages import (
    Cancel,
    Describe,
    Described,
    Failure,
    Grant,
    Heard,
    Message,
    Output,
    Publish,
    Published,
    Reply,
    Revoke,
    Run,
    Status,
    UdfSummary,
    decode,
    encode,
)
from fused_jupyter.wire.parts import cut

__all__ = [
    "MAX_BODY",
    "MAX_HEADER",
    "PROTOCOL",
    "Announcement",
    "Cancel",
    "Client",
    "Describe",
    "Described",
    "Failure",
    "Grant",
    "Heard",
    "Message",
    "Output",
    "Publish",
    "Published",
    "Reply",
    "Revoke",
    "Run",
    "Status",
    "UdfSummary",
    "connect",
    "cut",
    "decode",
    "encode",
    "pack",
    "read_frame",
    "read_frame_sync",
    "write_frame_sync",
]
