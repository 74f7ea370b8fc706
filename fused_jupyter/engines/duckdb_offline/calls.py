"""The functions that stand in a UDF's way to DuckDB.

DuckDB looks for tables among the variables of the Python frames that call it, ours too; so this module has no other
names than these, and all of them are ugly.
"""

import typing as _fused_typing

_FusedCall: _fused_typing.TypeAlias = "_fused_typing.Callable[..., _fused_typing.Any]"


def _fused_method(_fused_original: _FusedCall, _fused_prepare: _FusedCall) -> _FusedCall:
    """A method of a connection that takes SQL first."""

    def _fused_call(_fused_self, *_fused_args, **_fused_keywords):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN003, ANN202
        _fused_args = _fused_prepare(_fused_self, _fused_args, _fused_keywords)
        return _fused_original(_fused_self, *_fused_args, **_fused_keywords)

    return _fused_call


def _fused_function(_fused_original: _FusedCall, _fused_prepare: _FusedCall, _fused_default: _FusedCall) -> _FusedCall:
    """A function of the module that takes SQL first, and a connection by keyword."""

    def _fused_call(*_fused_args, **_fused_keywords):  # type: ignore[no-untyped-def]  # noqa: ANN002, ANN003, ANN202
        _fused_self = _fused_keywords.get("connection") or _fused_default()
        _fused_args = _fused_prepare(_fused_self, _fused_args, _fused_keywords)
        return _fused_original(*_fused_args, **_fused_keywords)

    return _fused_call
