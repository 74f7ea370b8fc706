"""Which files make a UDF: its source, its header modules, `meta.json` and `README.MD`.

The source is written and read as it is, byte by byte: comments, line ends and the arguments of the decorator stay, and
line numbers are those of the file.
"""

from __future__ import annotations

import contextlib
import functools
import keyword
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Protocol

from fused_jupyter.errors import UdfDefinitionError
from fused_jupyter.storage.meta import META, Meta, Text, read_meta, write_meta
from fused_jupyter.udfs import Choices, HeaderModule, UdfDefinition, declared_headers, marked_functions, parse

README = "README.MD"
"""In the spelling of Fused's repositories."""

MAX_BYTES = 50_000_000
"""What the files of one UDF may be long. Real ones are below 1 MB, with few exceptions."""

_COLLECTION = "collection.json"
_NO_WORD = re.compile(r"\W", re.ASCII)


class Files(Protocol):
    """The files of a UDF, wherever they lie."""

    @property
    def where(self) -> str:
        """The path of the folder or archive."""

    def names(self) -> Sequence[str]:
        """Those at the top."""

    def folders(self) -> Sequence[str]:
        """The folders at the top that hold a UDF."""

    def read(self, name: str) -> bytes:
        """One of them.

        Raises:
            UdfDefinitionError: it is not there, or outside.
        """


def files_of(definition: UdfDefinition) -> dict[str, bytes]:
    """The content of each file, `meta.json` last.

    Raises:
        ArgumentError: metadata or a default is nothing that JSON can hold.
    """
    names = _file_names([definition.name, *(header.module_name for header in definition.headers)])
    source, *headers = names
    sources = [definition.source, *(header.source for header in definition.headers)]
    modules = [header.module_name for header in definition.headers]
    return {
        **{name: text.encode() for name, text in zip(names, sources, strict=True)},
        README: readme_of(definition),
        META: write_meta(definition, source=source, headers=dict(zip(modules, headers, strict=True))),
    }


def readme_of(definition: UdfDefinition) -> bytes:
    """A heading, and what is known of it."""
    description = definition.description or definition.metadata.get("fused:description") or ""
    return f"# {definition.name}\n\n{description}\n".encode(errors="replace")


def definition_of(files: Files, *, directory: str = "") -> UdfDefinition:
    """The UDF in a folder or archive.

    Args:
        files: the folder or archive.
        directory: where its relative paths start.

    Raises:
        UdfDefinitionError: there is no UDF, more than one, or it is broken; says which file and why.
    """
    names = files.names()
    if META in names:
        return _by_meta(files, read_meta(files.read(META), f"{files.where}/{META}"), directory)
    if folders := [folder for folder in files.folders() if _is_udf(files, folder)]:
        what = "is a canvas of UDFs" if _COLLECTION in names else "holds UDFs"
        more = f" and {len(folders) - 10} more" if len(folders) > 10 else ""
        raise UdfDefinitionError(f"{files.where} {what}; load one of its folders: {', '.join(folders[:10])}{more}")
    sources = [name for name in names if name.endswith(".py")]
    if len(sources) != 1:
        found = f"and more than one Python file; load one of {', '.join(sources)}" if sources else "and no Python file"
        raise UdfDefinitionError(f"{files.where} is no UDF: there is no {META}, {found}")
    return definition_of_file(files, sources[0], directory=directory)


def definition_of_file(files: Files, name: str, *, directory: str = "") -> UdfDefinition:
    """The UDF in a Python file. It is called as the file is, unless its decorator names it.

    Raises:
        UdfDefinitionError: there is no UDF, more than one of which none is called `udf`, or it is broken.
    """
    definition = definition_of_code(_text(files, name), files, where=f"{files.where}/{name}", directory=directory)
    if definition.name != definition.entrypoint:
        return definition
    return replace(definition, name=fitting_name(PurePosixPath(name).stem))


def definition_of_code(code: str, files: Files, *, where: str = "", directory: str = "") -> UdfDefinition:
    """The UDF in a text.

    Args:
        code: the source.
        files: where header modules lie that the decorator names.
        where: its path, for messages.
        directory: where its relative paths start.

    Raises:
        UdfDefinitionError: there is no UDF, more than one of which none is called `udf`, or it is broken.
    """
    return _in(where, lambda: _parsed(code, files, Choices(entrypoint=_preferred(code), directory=directory)))


def _is_udf(files: Files, folder: str) -> bool:
    name = f"{folder}/{META}"
    with contextlib.suppress(UdfDefinitionError):
        return read_meta(files.read(name), name).template is None
    return True


def _by_meta(files: Files, meta: Meta, directory: str) -> UdfDefinition:
    if meta.template is not None:
        raise UdfDefinitionError(f"{files.where} is a {meta.template} of a canvas, no UDF")

    def text(text: Text) -> str:
        return text.code if text.file is None else _text(files, text.file)  # type: ignore[return-value]  # one of both

    code = text(meta.source)
    choices = Choices(
        name=fitting_name(meta.name) if meta.name else None,
        entrypoint=meta.entrypoint or _preferred(code),
        headers=tuple(HeaderModule(module_name=name, source=text(header)) for name, header in meta.headers.items()),
        cache_max_age=meta.cache_max_age,
        default_parameters=meta.default_parameters or None,  # none there: what the decorator says
        placement=meta.placement or None,
        directory=directory,
    )
    where = f"{files.where}/{meta.source.file or META}"
    definition = _in(where, lambda: _parsed(code, files, choices))
    return replace(definition, metadata=meta.metadata)


def _parsed(code: str, files: Files, choices: Choices) -> UdfDefinition:
    if not choices.headers:
        declared = _declared_headers(code, choices.entrypoint)
        choices = replace(choices, headers=tuple(_declared(header, files) for header in declared))
    has_mappings = choices.default_parameters is not None or choices.placement is not None  # those have no hash
    return parse(code, choices) if has_mappings else _parse(code, choices)


# A UDF that loads a library does so with each call of it: only reading the files is done anew.
_parse = functools.lru_cache(maxsize=64)(parse)
_declared_headers = functools.lru_cache(maxsize=64)(declared_headers)
_marked_functions = functools.lru_cache(maxsize=64)(marked_functions)


def _declared(header: str | Mapping[str, str], files: Files) -> HeaderModule:
    if isinstance(header, Mapping):
        try:
            return HeaderModule(module_name=header["module_name"], source=header["source_code"])
        except KeyError as exc:
            raise UdfDefinitionError(f"a header needs 'module_name' and 'source_code'; one has no {exc}") from exc
    return HeaderModule(module_name=PurePosixPath(header).stem, source=_text(files, header))


def _preferred(code: str) -> str | None:
    """Of several UDFs in a file the one called `udf`: the others are for it to use."""
    marked = _marked_functions(code)
    return "udf" if len(marked) > 1 and "udf" in marked else None


def _in(where: str, read: Callable[[], UdfDefinition]) -> UdfDefinition:
    """What `read` gives; its errors say where they are."""
    try:
        return read()
    except UdfDefinitionError as exc:
        if where:
            exc.message = f"{where}: {exc.message}"
        raise


def _text(files: Files, name: str) -> str:
    try:
        return files.read(name).decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise UdfDefinitionError(
            f"{files.where}/{name} is not UTF-8 ({exc.reason} at byte {exc.start}); save it as UTF-8"
        ) from exc


def fitting_name(name: str) -> str:
    """A name that can stand in a URL, from one that any file may have.

    >>> fitting_name("my-udf 2"), fitting_name("2025"), fitting_name("class")
    ('my_udf_2', '_2025', 'class_')
    """
    name = _NO_WORD.sub("_", name)
    if not name or name[0].isdigit():
        name = f"_{name}"
    return f"{name}_" if keyword.iskeyword(name) else name[:64]


def _file_names(modules: Sequence[str]) -> list[str]:
    """A Python file for each, none like another, also where case does not count."""
    names: list[str] = []
    taken: set[str] = set()
    for module in modules:
        name, number = module, 1
        while name.casefold() in taken:
            number += 1
            name = f"{module}_{number}"
        taken.add(name.casefold())
        names.append(f"{name}.py")
    return names
