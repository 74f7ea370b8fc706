"""`fused.secrets`: keys and passwords for UDFs, from a file that only its owner can read, and from the environment."""

from __future__ import annotations

import contextlib
import os
import secrets as randomness
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from fused_jupyter.engines.nesting import depend_on
from fused_jupyter.errors import AccessError, ArgumentError, SecretError
from fused_jupyter.settings import is_secret, setting

_OPEN = stat.S_IRWXG | stat.S_IRWXO


class Secrets(Mapping[str, str]):
    """Secrets by name: `fused.secrets["earthdata"]` or `fused.secrets.earthdata`, in the notebook and in UDFs.

    They lie in `secrets.json` of the data directory, an object of names and texts that nobody but its owner may read
    (`chmod 600`), or are variables of the environment. The file wins. `fused.secrets["name"] = "value"` writes it. No
    repr, no error and no log shows a value; a UDF that prints one does.

    Raises:
        KeyError: there is no such secret.
        SecretError: the file is open to others, or broken.

    >>> fused_secrets = Secrets()
    >>> fused_secrets["example"] = "s3cret"
    >>> fused_secrets.example, "example" in fused_secrets, fused_secrets
    ('s3cret', True, <secrets: example; values are not shown>)
    >>> del fused_secrets["example"]
    """

    def __getitem__(self, name: str) -> str:
        found = _read().get(name)
        if found is None and not is_secret(name):  # of a server: no UDF gets those
            found = os.environ.get(name)
        if found is None:
            raise KeyError(
                f"there is no secret {name!r}: fused.secrets[{name!r}] = '…' in the notebook keeps one, and so does a "
                "variable of the environment of this name"
            )
        return found

    def __getattr__(self, name: str) -> str:
        if name.startswith("_"):  # what IPython, pickle and others try on every object
            raise AttributeError(f"Secrets has no attribute {name!r}", name=name, obj=self)
        try:
            return self[name]
        except KeyError as exc:
            raise AttributeError(str(exc.args[0]), name=name, obj=self) from None

    def __setitem__(self, name: str, value: str) -> None:
        if not isinstance(name, str) or not name or not isinstance(value, str):
            raise ArgumentError(f"fused.secrets: got a {type(value).__name__} for {name!r}, need texts for both")
        with self._changing() as kept:
            kept[name] = value

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delitem__(self, name: str) -> None:
        with self._changing() as kept:
            if kept.pop(name, None) is None:
                raise KeyError(f"the file of secrets has no {name!r}")

    def __delattr__(self, name: str) -> None:
        del self[name]

    def __iter__(self) -> Iterator[str]:
        """The names of those in the file."""
        return iter(sorted(_read()))

    def __len__(self) -> int:
        return len(_read())

    def __contains__(self, name: object) -> bool:
        with contextlib.suppress(KeyError):
            return isinstance(name, str) and bool(self[name])
        return False

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self})

    def __repr__(self) -> str:
        try:
            names = ", ".join(self) or "none"
        except SecretError as exc:
            return f"<secrets: {exc.message}>"
        return f"<secrets: {names}; values are not shown>"

    @contextlib.contextmanager
    def _changing(self) -> Iterator[dict[str, str]]:
        from filelock import FileLock

        path = _path()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(f"{path}.lock", mode=0o600):
            kept = dict(_read())
            yield kept
            _write(path, kept)


class UserSecrets(Secrets):
    """`fused.user_secrets`: the same secrets, to be read only. There is one user here."""

    def __setitem__(self, name: str, value: str) -> None:
        raise AccessError("fused.user_secrets can only be read; fused.secrets[name] = value keeps one")

    def __delitem__(self, name: str) -> None:
        raise AccessError("fused.user_secrets can only be read; del fused.secrets[name] takes one away")


def _path() -> Path:
    said = setting("secrets_file") or os.path.join(setting("data_directory"), "secrets.json")  # noqa: PTH118 - see below
    return Path(os.path.expanduser(said))  # noqa: PTH111 - a Path raises where there is no home


def _read() -> Mapping[str, str]:
    path = _path()
    depend_on(path)  # a result that was made with another key is another result
    try:
        with path.open("rb") as file:
            _check_owner(path, os.fstat(file.fileno()))
            kept = orjson.loads(file.read())
    except FileNotFoundError:
        return {}
    except OSError as exc:
        raise SecretError(f"{path} cannot be read: {exc.strerror}") from exc
    except ValueError:
        # Not `from` the parser's error, and nothing of its text: it may quote a value.
        raise SecretError(f'{path} is no JSON object of texts, as in {{"name": "value"}}') from None
    if not isinstance(kept, dict) or not all(isinstance(value, str) for value in kept.values()):
        raise SecretError(f'{path} is no JSON object of texts, as in {{"name": "value"}}')
    return kept


def _check_owner(path: Path, status: os.stat_result) -> None:
    if status.st_uid != os.getuid() or status.st_mode & _OPEN:
        raise SecretError(
            f"{path} can be read by others than its owner (mode {stat.S_IMODE(status.st_mode):o}), so nothing is read "
            f"from it: chmod 600 {path}, and change the keys in it if others have access to this machine"
        )


def _write(path: Path, kept: Mapping[str, str]) -> None:
    draft = path.with_name(f".{path.name}-{randomness.token_hex(4)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(orjson.dumps(kept, option=orjson.OPT_INDENT_2))
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


secrets, user_secrets = Secrets(), UserSecrets()
