"""Files of `fd://` and `/mount`: for the owner, and by signed addresses for who was given one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from io import RawIOBase
from pathlib import Path
from typing import Any

from jupyter_server.auth.decorator import allow_unauthenticated
from tornado import web

from fused_jupyter.errors import ArgumentError, FusedError
from fused_jupyter.server_ext.hosted.handler import HostedHandler
from fused_jupyter.server_ext.hosted.multipart import FormReader
from fused_jupyter.server_ext.hosted.sending import send_file
from fused_jupyter.server_ext.policy import may_execute
from fused_jupyter.wire.http.requests import first

_FORM_BYTES = 65_536
"""What a form may have around its file."""
_SIGNATURE = re.compile(r"(signature=)[^&]*", re.IGNORECASE)
_ROOTS = {"fd": "fd://", "mount": "/mount/"}
"""As they stand in signed addresses. Twin: storage/signing.py."""


class _FilesHandler(HostedHandler):
    """What the routes of the owner share."""

    route = "files"

    @property
    def _path(self) -> str:
        return first(self.request.query_arguments, "path") or ""

    def _open_address(self, address: str) -> str:
        """The whole of an address that the desk has signed, for programs that come the same way as this one."""
        return f"{self.request.protocol}://{self.request.host}{self.base_url}fused/{address}"


class ListHandler(_FilesHandler):
    """`GET fused/server/v1/files/list?path=`: the addresses of what is in a directory."""

    @may_execute
    async def get(self) -> None:
        """A list of texts."""
        self.send_json(await self.ask("files.list", path=self._path))

    head = get


class ListDetailsHandler(_FilesHandler):
    """`GET fused/server/v1/files/list-details?path=`: the same with sizes and times."""

    @may_execute
    async def get(self) -> None:
        """A list of objects."""
        self.send_json(await self.ask("files.list_details", path=self._path))

    head = get


class GetHandler(_FilesHandler):
    """`GET fused/server/v1/files/get?path=`: a file."""

    @may_execute
    async def get(self) -> None:
        """Its bytes, or the part of them that `Range` asks for."""
        await send_file(self, Path(await self.ask("files.open", path=self._path)))

    head = get


class SignHandler(_FilesHandler):
    """`GET fused/server/v1/files/sign?path=`: an address of a file that opens it without a login, for some hours."""

    @may_execute
    async def get(self) -> None:
        """A text."""
        self.send_json(self._open_address(await self.ask("files.sign", path=self._path)))

    head = get


class SignPrefixHandler(_FilesHandler):
    """`GET fused/server/v1/files/sign_prefix?path=`: such addresses of all files in a directory."""

    @may_execute
    async def get(self) -> None:
        """An object: by the address of each file the signed one."""
        signed = await self.ask("files.sign_prefix", path=self._path)
        self.send_json({url: self._open_address(address) for url, address in signed.items()})

    head = get


class SignUploadHandler(_FilesHandler):
    """`GET fused/server/v1/files/sign-upload?path=&content_length=`: where a file can be sent to, for an hour."""

    @may_execute
    async def get(self) -> None:
        """An object: the address, and the fields of the form, of which there are none."""
        length = first(self.request.query_arguments, "content_length")
        address = await self.ask("files.sign_upload", path=self._path, content_length=length)
        self.send_json({"url": self._open_address(address), "fields": {}})

    head = get


class DeleteHandler(_FilesHandler):
    """`DELETE fused/server/v1/files/delete?path=&max_deletion_depth=`: a file, or a directory with all in it."""

    @may_execute
    async def delete(self) -> None:
        """Whether there was something."""
        depth = first(self.request.query_arguments, "max_deletion_depth") or "3"
        self.send_json(await self.ask("files.delete", path=self._path, max_deletion_depth=depth))


class ResolveHandler(_FilesHandler):
    """`POST fused/server/v1/files/resolve?path=`: the address that other programs of this machine understand."""

    @may_execute
    async def post(self) -> None:
        """A text, with `file://`."""
        self.send_json(await self.ask("files.resolve", path=self._path))


class _EfsHandler(_FilesHandler):
    """Files of `/mount`, as the official client asks for them: by paths without it."""

    route = "efs"

    def _mounted(self, path: Any) -> str:  # as JSON or a query has it
        return f"/mount/{str(path or '').strip('/')}"

    @property
    def _item(self) -> str:
        return self._mounted(self.sent.get("item"))


class EfsListHandler(_EfsHandler):
    """`POST fused/server/v1/efs/<client>/list` with `{"item": path}`."""

    @may_execute
    async def post(self) -> None:
        """An object: `items`, whose addresses are without `/mount/`."""
        items = await self.ask("files.list_details", path=self._item)
        self.send_json({"items": [item | {"url": item["url"].removeprefix("/mount/")} for item in items]})


class EfsDownloadHandler(_EfsHandler):
    """`GET fused/server/v1/efs/<client>/download?file_name=`."""

    @may_execute
    async def get(self) -> None:
        """The file."""
        name = first(self.request.query_arguments, "file_name")
        await send_file(self, Path(await self.ask("files.open", path=self._mounted(name))))

    head = get


class EfsUploadHandler(_EfsHandler):
    """`POST fused/server/v1/efs/<client>/upload`: a form with `dir` and `file`; Jupyter says how long it may be."""

    @may_execute
    async def post(self) -> None:
        """The address, where the file is now."""
        if "file" not in self.request.files:
            raise ArgumentError("the form has no part that is called 'file'")
        file = self.request.files["file"][0]
        url = f"{self._mounted(first(self.request.body_arguments, 'dir')).rstrip('/')}/{file.filename}"
        begun = await self.ask("files.begin_upload", path=url)
        try:
            await asyncio.to_thread(Path(begun["file"]).write_bytes, file.body)
        except OSError as exc:
            await self.ask("files.drop_upload", path=url, draft=begun["draft"])
            raise FusedError(f"the file cannot be written: {exc.strerror}") from exc
        self.send_json({"url": await self.ask("files.commit_upload", path=url, draft=begun["draft"])})


class EfsDeleteHandler(_EfsHandler):
    """`DELETE fused/server/v1/efs/<client>/delete-file` or `/delete-dir`, with `{"item": path}`."""

    @may_execute
    async def delete(self, what: str) -> None:
        """Whether there was something."""
        depth = {"file": 0, "dir": "unlimited"}[what]
        self.send_json(await self.ask("files.delete", path=self._item, max_deletion_depth=depth))


@web.stream_request_body
class SignedHandler(HostedHandler):
    """`GET|HEAD|POST fused/server/v1/files/signed/<root>/<key>?expires=&signature=`: for who was given the address.

    A POST is a form with a part `file`, of which no more than was signed is taken. It is written beside the others and
    takes its place when it is whole.
    """

    route = "signed files"
    _form: FormReader | None = None
    _refusal: FusedError | None = None
    _draft = ""
    _url = ""

    def initialize(self) -> None:
        """A signature is a secret as a token is: no log sees it."""
        super().initialize()
        self.request.uri = _SIGNATURE.sub(r"\1[secret]", self.request.uri or "")

    async def prepare(self) -> None:  # type: ignore[override]  # as in the base class
        """A login, if there is one, gives no more rights here. An upload is looked at before any of it is read."""
        self.current_user = self._jupyter_current_user = None
        if not self.check_host():
            raise web.HTTPError(403)
        if self.request.method == "POST":
            await self._begin()

    def check_xsrf_cookie(self) -> None:
        """Nothing: no cookie opens anything here."""

    def set_default_headers(self) -> None:
        """The signature is all that opens this: a page elsewhere that has it may read what it opens."""
        super().set_default_headers()
        self.set_header("Access-Control-Allow-Origin", "*")
        self.set_header("Access-Control-Expose-Headers", "Accept-Ranges, Content-Range, ETag")
        self.set_header("Cross-Origin-Resource-Policy", "cross-origin")

    @allow_unauthenticated
    async def get(self, root: str, key: str) -> None:
        """The file, or a part of it."""
        path = await self.ask("files.open_signed", path=_ROOTS[root] + key, query=self._query)
        await send_file(self, Path(path))

    head = get

    @allow_unauthenticated
    async def post(self, root: str, key: str) -> None:
        """The file is in its place."""
        del root, key
        if self._refusal is not None:
            raise self._refusal
        assert self._form is not None  # `prepare` made it
        self._form.close()
        await self.ask("files.commit_upload", path=self._url, draft=self._draft)
        self._draft = ""
        self.set_status(204)
        await self.finish()

    async def data_received(self, chunk: bytes) -> None:
        """Some of the form. What is wrong with it is said when all has come, as nobody listens before."""
        if self._form is None or self._refusal is not None:
            return
        self._pieces.clear()
        try:
            self._form.feed(chunk)
            piece = b"".join(self._pieces)
            self._left -= len(piece)
            if self._left < 0:
                raise ArgumentError("the file is longer than was signed; ask for an address with its content_length")
            if piece:
                await asyncio.to_thread(write_whole, self._file, piece)
        except FusedError as exc:
            self._refusal = exc
        except OSError as exc:
            self._refusal = FusedError(f"the file cannot be written: {exc.strerror}")
        except ValueError:
            return  # it was closed, as the connection was

    def on_finish(self) -> None:
        """Nothing stays of an upload that failed."""
        super().on_finish()
        self._give_up()

    def on_connection_close(self) -> None:
        """Nor of one that broke off."""
        super().on_connection_close()
        self._give_up()

    @property
    def _query(self) -> dict[str, str]:
        arguments = self.request.query_arguments
        return {name: first(arguments, name) or "" for name in ("expires", "length", "signature") if name in arguments}

    async def _begin(self) -> None:
        self._pieces: list[bytes] = []
        form = FormReader(self.request.headers.get("Content-Type", ""), field="file", take=self._pieces.append)
        root, key = self.path_args
        self._url = _ROOTS[root] + key
        begun = await self.ask("files.begin_signed_upload", path=self._url, query=self._query)
        self._draft, self._left = str(begun["draft"]), int(begun["length"])
        if int(self.request.headers.get("Content-Length", "0")) > self._left + _FORM_BYTES:
            raise web.HTTPError(413, "the file is longer than was signed; ask for an address with its content_length")
        # Jupyter's own limit is for notebooks; what was signed is what counts here.
        self.request.connection.set_max_body_size(self._left + _FORM_BYTES)  # type: ignore[union-attr]  # tornado's HTTP/1
        descriptor = os.open(begun["file"], os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self._form = form

    def _give_up(self) -> None:
        if self._form is not None:
            self._form = None
            self._file.close()
        if self._draft:
            draft, self._draft = self._draft, ""
            self._dropping = asyncio.ensure_future(self._drop(draft))

    async def _drop(self, draft: str) -> None:
        with contextlib.suppress(FusedError):  # the next upload takes old drafts away
            await self.ask("files.drop_upload", path=self._url, draft=draft)


def write_whole(file: RawIOBase, piece: bytes) -> None:
    """Write all of a piece: where a disk is nearly full, the system takes a part of it and says nothing.

    Raises:
        OSError: there is no room for the rest.
    """
    left = memoryview(piece)
    while left:
        left = left[file.write(left) or 0 :]


_BASE = r"/fused/server/v1/files"
_EFS = r"/fused/server/v1/efs/[^/]+"

FILE_ROUTES: list[tuple[str, Any]] = [
    (rf"{_BASE}/list", ListHandler),
    (rf"{_BASE}/list-details", ListDetailsHandler),
    (rf"{_BASE}/get", GetHandler),
    (rf"{_BASE}/sign", SignHandler),
    (rf"{_BASE}/sign_prefix", SignPrefixHandler),
    (rf"{_BASE}/sign-upload", SignUploadHandler),
    (rf"{_BASE}/delete", DeleteHandler),
    (rf"{_BASE}/resolve", ResolveHandler),
    (rf"{_BASE}/signed/(fd|mount)/(.+)", SignedHandler),
    (rf"{_EFS}/list", EfsListHandler),
    (rf"{_EFS}/download", EfsDownloadHandler),
    (rf"{_EFS}/upload", EfsUploadHandler),
    (rf"{_EFS}/delete-(file|dir)", EfsDeleteHandler),
]
