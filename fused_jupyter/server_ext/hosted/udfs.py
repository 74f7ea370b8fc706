"""Saved UDFs and collections, as the official client loads, saves, lists and deletes them."""

from __future__ import annotations

from typing import Any

from fused_jupyter.server_ext.hosted.handler import HostedHandler
from fused_jupyter.server_ext.policy import may_execute


class FindHandler(HostedHandler):
    """`GET fused/server/v1/udf/by-user-email/<email>/by-collection/<c>/by-slug/<name>`, or by the user's handle."""

    @may_execute
    async def get(self, owner: str, collection: str, slug: str) -> None:
        """A UDF."""
        await self.pass_on("udfs.find", {"owner": owner, "collection": collection, "slug": slug})

    head = get


class FindOwnHandler(HostedHandler):
    """`GET fused/server/v1/udf/exec-env/self/by-collection/<c>/by-slug/<name>`: one of the team, which is this user."""

    @may_execute
    async def get(self, collection: str, slug: str) -> None:
        """A UDF."""
        await self.pass_on("udfs.find", {"collection": collection, "slug": slug})

    head = get


class UdfByIdHandler(HostedHandler):
    """`GET|POST|DELETE fused/server/v1/udf/by-id/<id>`."""

    @may_execute
    async def get(self, udf_id: str) -> None:
        """A UDF."""
        await self.pass_on("udfs.by_id", {"id": udf_id})

    head = get

    @may_execute
    async def post(self, udf_id: str) -> None:
        """Its new version."""
        await self.pass_on("udfs.save", {**self.sent, "id": udf_id})

    @may_execute
    async def delete(self, udf_id: str) -> None:
        """What was deleted."""
        await self.pass_on("udfs.delete", {"id": udf_id})


class NewUdfHandler(HostedHandler):
    """`POST fused/server/v1/udf/new`."""

    @may_execute
    async def post(self) -> None:
        """A new UDF."""
        await self.pass_on("udfs.save", {**self.sent, "id": None})


class UdfOfTokenHandler(HostedHandler):
    """`GET fused/server/v1/udf/shared/by-token/<token>`: for the owner; a token lets others run a UDF, not read it."""

    @may_execute
    async def get(self, token: str) -> None:
        """The UDF that it opens."""
        await self.pass_on("udfs.of_token", {"token": token})

    head = get


class ResultsHandler(HostedHandler):
    """`DELETE fused/server/v1/realtime-shared/<client>/udf-cache/by-id/<id>/delete`: what is kept of a saved UDF.

    The official client may name a tile; more than that is deleted, which costs a run.
    """

    @may_execute
    async def delete(self, udf_id: str) -> None:
        """How many results there were."""
        saved = await self.ask("udfs.by_id", id=udf_id)
        self.send_json({"deleted": await self.hosts.delete_saved_results(saved["slug"])})


class UdfsHandler(HostedHandler):
    """`GET fused/server/v1/udf/self?skip=&limit=`; there are no public ones but one's own."""

    @may_execute
    async def get(self) -> None:
        """A page of a list, at the end an empty one."""
        if self.said.get("udf_type") == "app":
            self.send_json([])
        else:
            await self.pass_on("udfs.list", self.said)

    head = get


class PublicUdfsHandler(HostedHandler):
    """`GET fused/server/v1/udf/public`."""

    @may_execute
    async def get(self) -> None:
        """None: this server has those of its user."""
        self.send_json([])

    head = get


class CollectionsHandler(HostedHandler):
    """`GET fused/server/v1/collection/self[/lite]?skip=&limit=`."""

    @may_execute
    async def get(self) -> None:
        """A page of a list."""
        await self.pass_on("collections.list", self.said)

    head = get


class CollectionHandler(HostedHandler):
    """`GET fused/server/v1/collection/by-name/<name>`, or by id, where it can be renamed and deleted too."""

    @may_execute
    async def get(self, collection: str) -> None:
        """A collection."""
        await self.pass_on("collections.get", {"collection": collection})

    head = get


class CollectionByIdHandler(CollectionHandler):
    """`GET|POST|DELETE fused/server/v1/collection/by-id/<id>`."""

    @may_execute
    async def post(self, collection: str) -> None:
        """The collection under its new name."""
        await self.pass_on("collections.rename", {"collection": collection, "name": self.sent.get("name")})

    @may_execute
    async def delete(self, collection: str) -> None:
        """What was deleted; it was empty."""
        await self.pass_on("collections.delete", {"collection": collection})


class NewCollectionHandler(HostedHandler):
    """`POST fused/server/v1/collection/new`."""

    @may_execute
    async def post(self) -> None:
        """A new collection."""
        await self.pass_on("collections.create", {"name": self.sent.get("name")})


class ShareCollectionHandler(HostedHandler):
    """`POST fused/server/v1/collection/share?collection_id=[&new_token=true]`."""

    @may_execute
    async def post(self) -> None:
        """The collection with a new token, which is told this once."""
        is_only = self.said.get("new_token", "").lower() == "true"
        collection, client = self.said.get("collection_id"), self.said.get("client_id")
        said = {"collection": collection, "client_id": client, "new_token": is_only}
        await self.pass_on("collections.share", said)


class UnshareCollectionHandler(HostedHandler):
    """`POST fused/server/v1/collection/unshare?collection_id=`."""

    @may_execute
    async def post(self) -> None:
        """The collection, which no token opens any more."""
        await self.pass_on("collections.unshare", {"collection": self.said.get("collection_id")})


_UDF = r"/fused/server/v1/udf"
_COLLECTION = r"/fused/server/v1/collection"
_NAMED = r"by-collection/([^/]+)/by-slug/([^/]+)"

UDF_ROUTES: list[tuple[str, Any]] = [
    (rf"{_UDF}/by-user-(?:email|handle)/([^/]+)/{_NAMED}", FindHandler),
    (rf"{_UDF}/exec-env/self/{_NAMED}", FindOwnHandler),
    (rf"{_UDF}/by-id/([^/]+)", UdfByIdHandler),
    (rf"{_UDF}/new", NewUdfHandler),
    (r"/fused/server/v1/realtime-shared/[^/]+/udf-cache/by-id/([^/]+)/delete", ResultsHandler),
    (rf"{_UDF}/shared/by-token/([^/]+(?:/[^/]+)?)", UdfOfTokenHandler),
    (rf"{_UDF}/(?:exec-env/)?self", UdfsHandler),
    (rf"{_UDF}/public", PublicUdfsHandler),
    (rf"{_COLLECTION}/(?:self|exec-env)(?:/lite)?", CollectionsHandler),
    (rf"{_COLLECTION}/by-name/([^/]+)", CollectionHandler),
    (rf"{_COLLECTION}/exec-env/by-slug/([^/]+)", CollectionHandler),
    (rf"{_COLLECTION}/by-id/([^/]+)", CollectionByIdHandler),
    (rf"{_COLLECTION}/new", NewCollectionHandler),
    (rf"{_COLLECTION}/share", ShareCollectionHandler),
    (rf"{_COLLECTION}/unshare", UnshareCollectionHandler),
]
