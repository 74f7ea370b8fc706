"""Objects of S3 and Google Cloud Storage, by obstore: one wheel for both, a tenth of the CPU of s3fs."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fused_jupyter.errors import DownloadError
from fused_jupyter.storage.sources import PIECE, Answer, SourceError, Version

if TYPE_CHECKING:
    from obstore.store import GCSStore, S3Store

_AWS = "https://s3.amazonaws.com"
_S3_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                   "AWS_CONTAINER_CREDENTIALS_FULL_URI")  # fmt: skip
_GS_CREDENTIALS = ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH",
                   "GOOGLE_SERVICE_ACCOUNT_KEY", "GOOGLE_BEARER_TOKEN")  # fmt: skip
_STATUS = re.compile(r"status code: (\d{3})")
_WAITING = {"connect_timeout": "10s", "read_timeout": "30s", "timeout": "7days"}
"""A large object takes as long as it takes, as long as something comes."""


class BucketObject:
    """An object in a bucket.

    It is asked for with the credentials of the environment if there are any; then without, as public data is; then
    with what boto3 finds, if it is installed.

    Args:
        url: `s3://bucket/key` or `gs://bucket/key`.

    Raises:
        DownloadError: it names no object.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        found = re.fullmatch(r"(\w+)://([^/]+)/(.+)", url, re.DOTALL)
        if found is None or url.endswith("/"):
            raise DownloadError(f"{url} names no object; need s3://bucket/key or gs://bucket/key")
        self._scheme, self._bucket, self._key = found[1].lower(), found[2], found[3]

    @contextlib.contextmanager
    def open(self, offset: int, version: Version) -> Iterator[Answer]:
        """As of every source."""
        check_process(self._url)
        result = self._result({"range": {"offset": offset}, "if_match": version.etag or None} if offset else {})
        meta = result.meta
        now = Version(size=meta["size"], etag=meta["e_tag"] or "", modified=str(meta["last_modified"]))
        yield Answer(version=now, offset=offset, pieces=_pieces(result))

    def _result(self, options: Any) -> Any:  # what obstore wants and gives has names for type checkers only
        import obstore
        from obstore.exceptions import BaseError

        refusal: Exception | None = None
        for make in _STORES[self._scheme]:
            try:
                if (store := make(self._bucket)) is not None:
                    return obstore.get(store, self._key, options=options)
            except FileNotFoundError as exc:
                raise DownloadError(f"{self._url}: there is no such object, or bucket") from exc
            except (BaseError, ValueError) as exc:
                refusal = self._judged(exc)
                if not _is_forbidden(exc):
                    raise refusal from exc
        raise refusal or DownloadError(f"{self._url}: no credentials were found")

    def _judged(self, exc: Exception) -> Exception:
        """What may pass, and what not."""
        status = _STATUS.search(str(exc))
        said = str(exc).partition("\n")[0][:300]
        if type(exc).__name__ == "PreconditionError" or (status and status[1] == "416"):
            return SourceError(said, is_changed=True)
        if status and status[1] in {"401", "403"}:
            return DownloadError(
                f"{self._url}: the store refuses it ({status[1]}). Credentials are looked for in the environment "
                f"({', '.join((_S3_CREDENTIALS if self._scheme == 's3' else _GS_CREDENTIALS)[:2])}, …)"
                + (", and by boto3 if it is installed" if self._scheme == "s3" else "")
            )
        is_final = status is not None and status[1].startswith(("3", "4")) and status[1] not in {"408", "429"}
        # GenericError is what obstore calls a broken connection; the others are about the request.
        return DownloadError(f"{self._url}: {said}") if is_final or not _is_generic(exc) else SourceError(said)


def check_process(url: str) -> None:
    """See whether obstore works in this process: it has threads, and a forked child has none of them.

    Raises:
        DownloadError: it would wait for ever.
    """
    if _first_process() != os.getpid():
        raise DownloadError(
            f"{url}: this process was forked from one that had read a bucket already, whose threads it has "
            "not; download before, or use multiprocessing.get_context('spawn')"
        )


@functools.cache
def _first_process() -> int:
    """The process that used obstore first: a child that it forks later would wait for its threads for ever."""
    return os.getpid()


def _s3(bucket: str, **keywords: Any) -> S3Store:
    from obstore.store import S3Store

    endpoint = (
        os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT")
    )
    place: dict[str, Any] = {"endpoint": endpoint} if endpoint else {"region": _region(bucket)}
    return S3Store(bucket, **place, **_client(endpoint), **keywords)


def _s3_of_environment(bucket: str) -> S3Store | None:
    return _s3(bucket) if any(map(os.environ.get, _S3_CREDENTIALS)) else None


def _s3_public(bucket: str) -> S3Store:
    return _s3(bucket, skip_signature=True)


def _s3_of_boto3(bucket: str) -> S3Store | None:
    try:
        from obstore.auth.boto3 import Boto3CredentialProvider

        return _s3(bucket, credential_provider=Boto3CredentialProvider())
    except (ImportError, ValueError):  # not installed; or it finds nothing
        return None


def _gs_of_environment(bucket: str) -> GCSStore | None:
    well_known = Path.home() / ".config" / "gcloud" / "application_default_credentials.json"
    if not any(map(os.environ.get, _GS_CREDENTIALS)) and not well_known.exists():
        return None
    return _gs(bucket)


def _gs_public(bucket: str) -> GCSStore:
    return _gs(bucket, skip_signature=True)


def _gs(bucket: str, **keywords: Any) -> GCSStore:
    from obstore.store import GCSStore

    return GCSStore(bucket, **_client(os.environ.get("GOOGLE_BASE_URL")), **keywords)


def _client(endpoint: str | None) -> dict[str, Any]:
    """How it asks: once, as the caller tries again and goes on where it was."""
    names = ("AWS_ALLOW_HTTP", "GOOGLE_ALLOW_HTTP")  # obstore's own; what is given here hides them from it
    is_plain = urlsplit(endpoint or "").scheme == "http" or any(os.environ.get(name) == "true" for name in names)
    return {"client_options": {**_WAITING, "allow_http": is_plain}, "retry_config": {"max_retries": 0}}


_STORES: dict[str, tuple[Callable[[str], S3Store | GCSStore | None], ...]] = {
    "s3": (_s3_of_environment, _s3_public, _s3_of_boto3),
    "gs": (_gs_of_environment, _gs_public),
}


@functools.lru_cache
def _region(bucket: str) -> str:
    """The region of a bucket, which S3 tells everybody; it refuses requests that were signed for another one."""
    request = urllib.request.Request(f"{_AWS}/{bucket}", method="HEAD")  # noqa: S310 - a constant
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - a constant
            headers = response.headers
    except urllib.error.HTTPError as exc:  # a redirect or refusal says it, too
        with exc:
            headers = exc.headers
    except OSError:
        headers = {}
    said = headers.get("x-amz-bucket-region")
    return said or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


def _is_forbidden(exc: Exception) -> bool:
    status = _STATUS.search(str(exc))
    return status is not None and status[1] in {"401", "403"}


def _is_generic(exc: Exception) -> bool:
    return type(exc).__name__ in {"GenericError", "JoinError"}


def _pieces(result: Any) -> Iterator[memoryview]:
    from obstore.exceptions import BaseError

    try:
        for piece in result.stream(min_chunk_size=PIECE):
            yield memoryview(piece)
    except BaseError as exc:
        raise SourceError(f"the connection broke: {str(exc).partition(chr(10))[0][:300]}") from exc
