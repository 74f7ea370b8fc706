"""Addresses of GitHub: which repository they mean. Where ref ends and path begins, only the repository knows."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import unquote, urlsplit

from fused_jupyter.errors import ArgumentError

GITHUB = "https://github.com"

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_KINDS = frozenset({"tree", "blob", "raw"})
_RAW_HOST = "raw.githubusercontent.com"
_NO_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")
"""What git allows in no name of a branch, and what would be an expression of its own."""
SHA = re.compile(r"[0-9a-f]{4,40}")
"""A commit, by its hash or the begin of it."""
FULL_SHA = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryAddress:
    """A place in a repository."""

    owner: str
    repository: str
    rest: tuple[str, ...]
    """The parts of ref and path, in one: a branch may have slashes in its name. None at all is the default branch."""

    @property
    def name(self) -> str:
        """``owner/repository``."""
        return f"{self.owner}/{self.repository}"

    @property
    def url(self) -> str:
        """The address in its usual form."""
        return "/".join((GITHUB, self.owner, self.repository, *(("tree", *self.rest) if self.rest else ())))

    @property
    def splits(self) -> tuple[tuple[str, str], ...]:
        """Each way to take ref and path apart, the shortest ref first.

        >>> repository_address("https://github.com/me/udfs/tree/new/look/public").splits[1]
        ('new/look', 'public')
        """
        rest = self.rest or ("HEAD",)
        return tuple(("/".join(rest[:end]), "/".join(rest[end:])) for end in range(1, len(rest) + 1))

    def below(self, *names: str) -> Self:
        """A place in it."""
        return replace(self, rest=((self.rest or ("HEAD",)) + names))


def is_repository(text: str) -> bool:
    """Whether a text is an address of a repository of GitHub.

    >>> is_repository("https://github.com/fusedio/udfs/tree/main/public/common/"), is_repository("s3://a/b")
    (True, False)
    """
    parts = urlsplit(text) if text.startswith(("https://", "http://")) else None
    return parts is not None and parts.hostname in {"github.com", "www.github.com", _RAW_HOST}


def repository_address(url: str, *, host: str = "") -> RepositoryAddress:
    """The place that an address means: a folder or a file, with or without a slash at its end.

    Args:
        url: as the browser shows it.
        host: of another GitHub than the public one.

    Raises:
        ArgumentError: it names no repository, or nothing that can be in one.

    >>> repository_address("https://github.com/me/udfs/blob/1a2b3c4/public/common/common.py").rest
    ('1a2b3c4', 'public', 'common', 'common.py')
    """
    parts = urlsplit(url)
    names = [unquote(name) for name in parts.path.split("/") if name]
    if parts.hostname == _RAW_HOST and len(names) >= 2:
        names.insert(2, "raw")
    if not (is_repository(url) or (host and parts.hostname == host)) or len(names) < 2:
        raise ArgumentError(f"{url}: need https://github.com/<owner>/<repository>/tree/<ref>/<folder of the UDF>")
    owner, repository, *rest = names
    repository = repository.removesuffix(".git")
    if rest and (rest[0] not in _KINDS or len(rest) < 2):
        raise ArgumentError(f"{url}: after the repository comes /tree/<ref>/ or /blob/<ref>/, and then the path")
    if not _NAME.fullmatch(owner) or not _NAME.fullmatch(repository) or _NO_REF.search("/".join(rest)):
        raise ArgumentError(f"{url}: no repository, ref or path can be called so; copy the address from the browser")
    return RepositoryAddress(owner=owner, repository=repository, rest=tuple(rest[1:]))
