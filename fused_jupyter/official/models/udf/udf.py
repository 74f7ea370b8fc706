"""`fused.models.udf.udf`: all of its classes are our one class of UDFs."""

from __future__ import annotations

from typing import Any

import orjson

from fused_jupyter.api.load import LoadedUdf
from fused_jupyter.api.udf import Udf
from fused_jupyter.errors import UdfDefinitionError
from fused_jupyter.storage.exchange import definition_to_run

__all__ = ["AnyBaseUdf", "BaseUdf", "GeoPandasUdfV2", "Udf"]

AnyBaseUdf = BaseUdf = Udf


class GeoPandasUdfV2(Udf):
    """A UDF from its JSON, as `udf.json()` gives it."""

    @classmethod
    def parse_raw(cls, text: str | bytes, **_: Any) -> LoadedUdf:
        """The UDF that a JSON text describes.

        Raises:
            UdfDefinitionError: it describes none.

        >>> text = '{"name": "six", "entrypoint": "six", "code": "def six(): return 6", "headers": []}'
        >>> GeoPandasUdfV2.parse_raw(text)()
        6
        """
        try:
            body = orjson.loads(text)
        except ValueError as exc:
            raise UdfDefinitionError(f"what should be the JSON of a UDF is no JSON: {exc}") from exc
        return cls.parse_obj(body)

    @classmethod
    def parse_obj(cls, body: Any) -> LoadedUdf:
        """The same from the object that the text stands for."""
        if not isinstance(body, dict):
            raise UdfDefinitionError(f"what should be the JSON of a UDF is a {type(body).__name__}, need an object")
        return LoadedUdf(definition_to_run(body))
