"""Tokens that users hold: `udf.create_access_token()` and what it gives."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Unpack
from urllib.parse import quote, urlencode

from fused_jupyter.api.addresses import as_query
from fused_jupyter.api.credentials import whoami
from fused_jupyter.api.limits import Wishes, limits_of, split_wishes, told
from fused_jupyter.api.saved import library, saved_version, share_of
from fused_jupyter.api.snippets import PLACEHOLDER, Links, Snippets, snippets_html, snippets_of
from fused_jupyter.errors import (
    AccessError,
    ArgumentError,
    FusedError,
    UnknownTokenError,
    UnknownUdfError,
)
from fused_jupyter.runtime import KernelRuntime, current, current_kernel
from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.wire import Limits

if TYPE_CHECKING:
    from fused_jupyter.storage import Token

NO_ORIGIN = "https://YOUR-SERVER"
"""What begins an address where only the browser knows the server, as behind JupyterHub."""


class Changes(Wishes, total=False):
    """What may be said of a token."""

    enabled: bool
    metadata_json: Mapping[str, Any] | None
    client_id: str | None
    public_read: bool
    access_scope: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveToken:
    """What is known of a token of this kernel; with the fields of a stored one."""

    id: str
    share: str
    """SHA-256 of the secret."""
    udf_name: str
    limits: Limits
    udf_id: None = None
    collection: None = None
    enabled: bool = True
    metadata: None = None
    client_id: None = None
    public_read: bool = False
    access_scope: None = None
    created_at: float = 0.0
    updated_at: None = None


class UdfAccessToken:
    """A token: whoever has it may run one UDF, or those of one collection, and nothing else.

    `token` is the secret, in the object that made it and nowhere else: it is not kept, and no repr shows it, so it does
    not get into a saved notebook unless you print it. In other objects `token` is the public id, which opens nothing.
    """

    def __init__(self, about: Token | LiveToken, *, secret: str = "", udf_name: str = "") -> None:
        self._about = about
        self._secret = secret
        self._udf_name = udf_name or about.udf_name or ""

    # -- what it is

    @property
    def token(self) -> str:
        """The secret right after it was made, else the public id."""
        return self._secret or self.id

    @property
    def id(self) -> str:
        """The public id, which names it in lists and opens nothing."""
        return self._about.id

    @property
    def is_live(self) -> bool:
        """Whether it opens a UDF of this kernel and dies with it; else it opens a saved one."""
        return isinstance(self._about, LiveToken)

    @property
    def enabled(self) -> bool:
        """Whether it opens anything."""
        return self._about.enabled

    @property
    def limits(self) -> Limits:
        """What it allows."""
        return self._about.limits

    @property
    def cache(self) -> bool:
        """Whether results are kept for it."""
        return self._about.limits.cache

    @property
    def udf_slug(self) -> str | None:
        """The name of the UDF; None for a whole collection."""
        return self._udf_name or None

    @property
    def udf_id(self) -> str | None:
        """The id of the saved UDF; None for a live one and for a whole collection."""
        return self._about.udf_id

    @property
    def udf_email(self) -> str | None:
        """Whose UDF it is: this user's."""
        return whoami()["email"]

    @property
    def collection_name(self) -> str | None:
        """The collection that it opens, where it opens a whole one."""
        return None if self.udf_id else self._about.collection

    @property
    def client_id(self) -> str | None:
        """Kept for the official client; it changes nothing here."""
        return self._about.client_id

    @property
    def public_read(self) -> bool:
        """Kept for the official client; it changes nothing here."""
        return bool(self._about.public_read)

    @property
    def access_scope(self) -> str | None:
        """Kept for the official client; it changes nothing here."""
        return self._about.access_scope

    @property
    def metadata_json(self) -> Mapping[str, Any] | None:
        """What its TileJSON says beside the usual."""
        return self._about.metadata

    @property
    def created(self) -> float:
        """When it was made, in seconds since the epoch; 0 for a live one."""
        return self._about.created_at

    @property
    def last_updated(self) -> datetime | None:
        """When it was changed the last time; None for a live one."""
        changed = self._about.updated_at
        return None if changed is None else datetime.fromtimestamp(changed, tz=UTC)

    @property
    def definition(self) -> UdfDefinition:
        """The UDF that it opens.

        Raises:
            UnknownUdfError: it is not there any more; or it is one of a collection, see `for_udf`.
        """
        if self.is_live:
            return current().registry.get(self._udf_name)
        if self.udf_id is not None:
            return library().by_id(self.udf_id).placed
        return library().find(self._one(), collection=self._about.collection or "").placed

    @property
    def reference(self) -> str:
        """What `fused.run` and `fused.load` know it by; it opens nothing for anybody else."""
        return f"{self.id}/{self._one()}" if self.collection_name is not None else self.id

    # -- its addresses

    def for_udf(self, name: str) -> UdfAccessToken:
        """The same token, for one UDF of the collection that it opens.

        Raises:
            UnknownUdfError: it does not open that one.
        """
        if self.collection_name is not None:
            library().find(name, collection=self.collection_name)
        elif name != self._udf_name:
            raise UnknownUdfError(f"{self.id} opens {self._udf_name}, not {name!r}", udf=name)
        return UdfAccessToken(self._about, secret=self._secret, udf_name=name)

    def get_file_url(self, format: str | None = None, **parameters: Any) -> str:  # noqa: A002 - as in the reference
        """The address of its result as a file. It holds the secret: whoever sees it can use it.

        Args:
            format: `csv`, `geojson`, `parquet`, `png` and so on; None leaves it to the value.
            **parameters: arguments of the UDF.

        Raises:
            AccessError: the secret is not known any more.
            ArgumentError: the token does not allow that argument.
            NoServerError: this kernel was not started by a Jupyter server with the extension.
        """
        return self._address(self._known_secret(), _file(format), parameters)

    def get_tile_url(self, format: str | None = None, **parameters: Any) -> str:  # noqa: A002 - as in the reference
        """The address of its tiles, with `{z}`, `{x}` and `{y}` to fill in. It holds the secret.

        Args:
            format: `png` or `mvt`; None leaves it to the value.
            **parameters: arguments of the UDF.

        Raises:
            FusedError: as `get_file_url` does.
        """
        return self._address(self._known_secret(), _tiles(format), parameters)

    def get_map_url(self, **parameters: Any) -> str:
        """The address of a page that is all map, for people without a login. It holds the secret.

        Args:
            **parameters: arguments of the UDF, with which the map begins.

        Raises:
            FusedError: as `get_file_url` does.
        """
        return self._address(self._known_secret(), ("/map", ""), parameters)

    def snippets(self, **parameters: Any) -> Snippets:
        """What to paste into other programs, by their names, with the secret in it.

        Args:
            **parameters: arguments of the UDF.

        Raises:
            FusedError: as `get_file_url` does.
        """
        return self._snippets(self._known_secret(), parameters)

    # -- changing it

    def update(self, **changes: Unpack[Changes]) -> UdfAccessToken:
        """Change it, from the next request on. Its addresses stay the same.

        Args:
            **changes: what `create_access_token` takes; `enabled=False` closes it for a while. The rest stays as it is.

        Returns:
            Itself.

        Raises:
            UnknownTokenError: it was deleted.
            ArgumentError: a value that cannot be; or a live token, of which only the limits can change.
        """
        wishes, rest = split_wishes(changes)
        udf = self.definition if wishes.get("parameters") is not None and self._udf_name else None
        limits = limits_of(wishes, known=self.limits, udf=udf)
        if isinstance(self._about, LiveToken):
            _check_live(rest)
            current_kernel().limit(self._about.share, limits)
            self._about = replace(self._about, limits=limits)
        else:
            self._about = library().update_token(self.id, limits=limits, **_stored(rest))
        return self

    def refresh(self) -> UdfAccessToken:
        """Read again what it allows, as another notebook may have changed it; gives itself.

        Raises:
            UnknownTokenError: it was deleted.
        """
        self._about = _known(self.id)
        return self

    def delete(self) -> None:
        """Close it for ever, from the next request on.

        Raises:
            UnknownTokenError: it was deleted.
        """
        if isinstance(self._about, LiveToken):
            _known(self.id)
            current_kernel().revoke(self._about.share)
        else:
            library().delete_token(self.id)

    # -- as an object

    def facts(self) -> list[str]:
        """What there is to say of it, in a few words each."""
        state = [] if self.enabled else ["closed (enabled=False)"]
        kind = "lives as long as this kernel" if self.is_live else ""
        return [fact for fact in (kind, *state, *told(self.limits)) if fact]

    @property
    def opens(self) -> str:
        """The UDF or the collection that it opens."""
        return self._udf_name or f"collection {self.collection_name}"

    def __eq__(self, other: object) -> bool:
        return self._about == other._about if isinstance(other, UdfAccessToken) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)

    def __reduce__(self) -> tuple[Any, ...]:
        return UdfAccessToken, (self._about,)  # without the secret

    def __repr__(self) -> str:
        return f"<UdfAccessToken {self.id} of {' · '.join([self.opens, *self.facts()])}>"

    def _repr_html_(self) -> str:
        advice = (
            "the secret is not shown here, so that it does not get into a saved notebook: <code>.token</code> has it, "
            "<code>.snippets()</code> and <code>.get_file_url()</code> fill it in, in this object only"
            if self._secret
            else "its secret was to be had from the object that made it"
        )
        if self.is_live:
            advice += "; <code>.to_fused()</code> of the UDF, and then a new token, make one that lasts"
        return (
            "<div style='font-size:13px;line-height:1.6'>"
            f"<div><code style='font-weight:600'>{html.escape(self.id)}</code> of "
            f"<code>{html.escape(self.opens)}</code></div>"
            f"<div>{html.escape(' · '.join(self.facts()))}</div>"
            f"<div style='opacity:.75'>{advice}</div>{self._shown_snippets()}</div>"
        )

    def _shown_snippets(self) -> str:
        """Snippets without the secret."""
        try:
            shown = snippets_html(self._snippets(PLACEHOLDER, {}))
        except FusedError as exc:
            return f"<div style='opacity:.75'>{html.escape(exc.message)}</div>"
        return f"<details><summary>paste it into other programs</summary>{shown}</details>"

    # -- inside

    def _known_secret(self) -> str:
        if not self._secret:
            raise AccessError(
                f"the secret of {self.id} was to be had from the object that made it, and is kept nowhere; make "
                "another with create_access_token, and delete() this one"
            )
        return self._secret

    def _one(self) -> str:
        """The name of its UDF."""
        if not self._udf_name:
            names = ", ".join(udf.name for udf in library().udfs(collection=self.collection_name)) or "none yet"
            raise UnknownUdfError(
                f"{self.id} opens the collection {self.collection_name!r}; say which UDF: "
                f".for_udf('name'), there are {names}"
            )
        return self._udf_name

    def _address(self, secret: str, ending: tuple[str, str], parameters: Mapping[str, Any]) -> str:
        if self.limits.parameters is not None and (extra := parameters.keys() - set(self.limits.parameters)):
            raise ArgumentError(
                f"{self.id} does not allow {', '.join(sorted(extra))}; it allows {self.limits.parameters}"
            )
        of_collection = f"/{quote(self._one())}" if self.collection_name is not None else ""
        path, extension = ending
        query = urlencode(as_query(parameters))
        address = current_kernel().server().url(f"fused/{secret}{of_collection}{path}{extension}")
        origin = NO_ORIGIN if address.startswith("/") else ""
        return f"{origin}{address}{f'?{query}' if query else ''}"

    def _snippets(self, secret: str, parameters: Mapping[str, Any]) -> Snippets:
        gives_tiles = self.definition.spatial_parameter is not None
        return snippets_of(
            Links(
                file=lambda extension: self._address(secret, _file(extension), parameters),
                tiles=(lambda extension: self._address(secret, _tiles(extension), parameters)) if gives_tiles else None,
                formats=self.limits.formats,
            )
        )


class UdfAccessTokenList(list[UdfAccessToken]):
    """Tokens; a notebook shows them as a table, without secrets."""

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td><code>{html.escape(token.id)}</code></td><td>{html.escape(token.opens)}</td>"
            f"<td>{html.escape(' · '.join(token.facts()))}</td></tr>"
            for token in self
        )
        return f"<table><tr><th>token</th><th>opens</th><th>allows</th></tr>{rows}</table>"


# -- making and finding them


def create(
    definition: UdfDefinition,
    *,
    claim_name: Callable[[], None],
    live: bool | None = None,
    **wishes: Unpack[Changes],
) -> UdfAccessToken:
    """A new token of a UDF: see `Udf.create_access_token`.

    Args:
        definition: the UDF.
        claim_name: makes it what its name means, for a live token.
        live: whether it is one; None leaves it to whether the UDF is saved.
        **wishes: what it is to allow.
    """
    saved = None if live else saved_version(definition)
    if live is False and saved is None:
        raise UnknownUdfError(
            f"this version of {definition.name} is not saved, so a lasting token would open another one, or none: "
            "to_fused(overwrite=True) first, or leave out live=False",
            udf=definition.name,
        )
    asked, rest = split_wishes(wishes)
    limits = limits_of(asked, udf=definition)
    if saved is not None:
        return create_stored(limits, rest, udf_id=saved.id)
    _check_live(rest)
    claim_name()
    runtime = current_kernel()
    secret = runtime.grant(definition.name, limits)
    share = hashlib.sha256(secret.encode()).hexdigest()
    return UdfAccessToken(_live(share, definition.name, limits), secret=secret)


def create_stored(
    limits: Limits, rest: Mapping[str, Any], *, udf_id: str | None = None, collection: str | None = None
) -> UdfAccessToken:
    """A token of a saved UDF, or of a collection."""
    values = _stored(rest)
    is_enabled = values.pop("enabled", True)
    secret, token = library().create_token(udf_id=udf_id, collection=collection, limits=limits, **values)
    if not is_enabled:
        token = library().update_token(token.id, enabled=False)
    return UdfAccessToken(token, secret=secret)


def find(token: str | UdfAccessToken) -> UdfAccessToken:
    """A token by its secret or its public id.

    Raises:
        UnknownTokenError: there is none.
    """
    text = token.token if isinstance(token, UdfAccessToken) else token
    head, _, name = text.partition("/")
    about = _known(head)
    secret = head if head not in {about.id, about.share} else ""
    return UdfAccessToken(about, secret=secret, udf_name=name)


def tokens(
    *, udf_id: str | None = None, live_name: str | None = None, limit: int | None = None, skip: int = 0
) -> UdfAccessTokenList:
    """The tokens of a saved UDF, and the live ones of a name; without either all of them, the live ones last."""
    is_every = udf_id is None and live_name is None
    stored: Iterable[Token] = ()
    if library().exists and (is_every or udf_id is not None):
        stored = library().tokens(udf_id=udf_id)
    live = [token for token in _live_tokens() if is_every or token.udf_name == live_name]
    every: list[Token | LiveToken] = [*stored, *live]
    found = [UdfAccessToken(about) for about in every]
    return UdfAccessTokenList(found[skip : None if limit is None else skip + limit])


def tokens_of(definition: UdfDefinition) -> UdfAccessTokenList:
    """The tokens of a UDF, the live ones last."""
    saved = saved_version(definition)
    return tokens(udf_id=None if saved is None else saved.id, live_name=definition.name)


def newest_of(definition: UdfDefinition) -> UdfAccessToken:
    """The newest token of a UDF, of those that last if there are any.

    Raises:
        UnknownTokenError: it has none.
    """
    found = tokens_of(definition)
    if not found:
        raise UnknownTokenError(f"{definition.name} has no token; create_access_token() makes one", udf=definition.name)
    lasting = [token for token in found if not token.is_live]
    return max(lasting, key=lambda token: token.created) if lasting else found[-1]


def _known(token: str) -> Token | LiveToken:
    live = {each.share: each for each in _live_tokens()}
    if (share := share_of(token, live)) is not None:
        return live[share]
    if not library().exists:
        raise UnknownTokenError("there is no such token; fused.api.get_udf_access_tokens() lists yours")
    return library().token(token)


def _live_tokens() -> list[LiveToken]:
    runtime = current()
    if not isinstance(runtime, KernelRuntime):
        return []
    return [_live(share, udf, limits) for share, (udf, limits) in runtime.granted().items()]


def _live(share: str, udf: str, limits: Limits) -> LiveToken:
    return LiveToken(id=f"fsh_{share[:12]}", share=share, udf_name=udf, limits=limits)


_HARMLESS: dict[str, Any] = {
    "enabled": True,
    "metadata_json": None,
    "client_id": None,
    "public_read": False,
    "access_scope": None,
}
"""What a live token is anyway."""


def _check_live(rest: Mapping[str, Any]) -> None:
    wrong = [name for name, value in rest.items() if value != _HARMLESS.get(name)]
    if wrong:
        raise ArgumentError(
            f"{wrong[0]}: a live token has limits only, and delete() closes it; save the UDF with to_fused() for a "
            "token that has the rest"
        )


def _stored(rest: Mapping[str, Any]) -> dict[str, Any]:
    """As the library calls them."""
    return {"metadata" if name == "metadata_json" else name: value for name, value in rest.items()}


def _file(extension: str | None) -> tuple[str, str]:
    return ("", f".{extension}") if extension else ("/run/file", "")


def _tiles(extension: str | None) -> tuple[str, str]:
    return "/run/tiles/{z}/{x}/{y}", f".{extension}" if extension else ""
