"""Every route that openapi.json describes, with all that the schema allows and much that it does not.

No request may cost a 500, a hang or a secret.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from real_jupyter import JupyterServer, Kernel
from schemathesis import Case, GenerationMode
from schemathesis.schemas import BaseSchema

from fused_jupyter.storage import Library
from fused_jupyter.udfs import parse

SECONDS = 20.0
"""No answer takes longer."""

_GOOD = frozenset({503, 504})
"""Of 5xx those that say something: not now, or too long."""


_OPEN = frozenset({"/server/v1/health", "/pages/{version}/{asset}"})
"""Whether the server is there, which the official client asks before it has a credential; and the style of pages."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def secrets(data: Path) -> dict[str, str]:
    """Tokens that open something."""
    library = Library(data)
    saved = library.save(parse("def saved(n: int = 1, word: str = 'a', wide: bool = False):\n    return {'n': n}\n"))
    library.save(parse("def area(bounds=None):\n    import shapely\n    return shapely.box(*bounds)\n"))
    return {"fsh": library.create_token(udf_id=saved.id)[0], "fc": library.create_token(collection="default")[0]}


@pytest.fixture(scope="module")
def server(data: Path, secrets: dict[str, str]) -> Iterator[JupyterServer]:
    del secrets
    with JupyterServer(environment={"FUSED_DATA_DIRECTORY": str(data)}, arguments=("--debug",)) as server:
        yield server


@pytest.fixture(scope="module")
def kernel(server: JupyterServer) -> Iterator[Kernel]:
    with server.running_kernel() as kernel:
        kernel.define("@fused.udf\ndef live(n: int = 1, tags: list = None):\n    return {'n': n, 'tags': tags}\n")
        yield kernel


@pytest.fixture(scope="module")
def owners_schema(server: JupyterServer, kernel: Kernel) -> BaseSchema:
    """Of all routes."""
    del kernel
    document = server.get("fused/openapi.json")
    assert document.status == 200, document.body
    schema: BaseSchema = schemathesis.openapi.from_dict(document.json())
    schema.config.update(base_url=f"{server.root}fused")
    return schema


@pytest.fixture(scope="module")
def strangers_schema(server: JupyterServer, secrets: dict[str, str]) -> BaseSchema:
    """Of what a token opens."""
    document = server.get(f"fused/{secrets['fc']}/openapi.json", login=False)
    assert document.status == 200, document.body
    schema: BaseSchema = schemathesis.openapi.from_dict(document.json())
    schema.config.update(base_url=f"{server.root}fused/{secrets['fc']}")
    return schema


_EXAMPLES = settings(
    max_examples=6,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def fuzz(schema: BaseSchema, law: Callable[[Case], None], *, examples: int = 6) -> None:
    """Hold a law against cases of every operation, good ones and bad ones."""
    count = 0
    for result in schema.get_all_operations():
        operation = result.ok()
        for mode in GenerationMode:
            if mode.is_negative and not (operation.query or operation.body or operation.path_parameters):
                continue  # nothing can be wrong with it
            held = given(case=operation.as_strategy(generation_mode=mode))(law)
            with contextlib.suppress(Unsatisfiable):  # any value of its parameters is a good one
                settings(_EXAMPLES, max_examples=examples)(held)()
                count += 1
    assert count > 4


def test_the_owner_meets_no_500(owners_schema: BaseSchema, server: JupyterServer, secrets: dict[str, str]) -> None:
    """Whatever is sent."""

    def law(case: Case) -> None:
        check(case, {"Authorization": f"token {server.token}"}, server, secrets)

    fuzz(owners_schema, law)


def test_a_stranger_with_a_token_meets_no_500(
    strangers_schema: BaseSchema, server: JupyterServer, secrets: dict[str, str]
) -> None:
    """Whatever is sent."""

    def law(case: Case) -> None:
        check(case, {}, server, secrets)

    fuzz(strangers_schema, law)


def test_who_is_not_logged_in_runs_nothing(
    owners_schema: BaseSchema, server: JupyterServer, secrets: dict[str, str]
) -> None:
    """Every route of the owner's refuses."""

    def law(case: Case) -> None:
        status = check(case, {}, server, secrets)
        assert status >= 400 or case.path in _OPEN, f"{case.method} {case.path}: {status}"

    fuzz(owners_schema, law, examples=2)


def check(case: Case, headers: dict[str, str], server: JupyterServer, secrets: dict[str, str]) -> int:
    started = time.monotonic()
    response = case.call(headers=headers, timeout=SECONDS, allow_redirects=False)
    assert time.monotonic() - started < SECONDS
    where = f"{case.method} {case.formatted_path}"
    assert response.status_code < 500 or response.status_code in _GOOD, f"{where}: {response.content[:500]!r}"
    told = response.content.decode(errors="replace") + str(response.headers)
    for secret in (server.token, *secrets.values()):
        assert secret not in told
    return int(response.status_code)


def test_no_secret_is_in_the_log(server: JupyterServer, secrets: dict[str, str]) -> None:
    """After all that; the server logs what it can."""
    for secret in (server.token, *secrets.values()):
        assert secret not in server.log
