"""Saved UDFs and tokens, from the cell that makes them to somebody who has an address only."""

from __future__ import annotations

from real_jupyter import JupyterServer, Kernel

CODE = """
@fused.udf
def shared(n: int = 1, word: str = ""):
    return {{"n": n * {factor}, "word": word}}
"""


def addresses(kernel: Kernel, code: str) -> list[str]:
    """What a cell prints."""
    return kernel.execute(code).check().text.split()


def test_live_token_opens_its_udf_until_its_kernel_ends(server: JupyterServer) -> None:
    """In the version that the notebook has, within its limits, and not after it is deleted."""
    with server.running_kernel() as kernel:
        kernel.define(CODE.format(factor=1))
        code = "t = shared.create_access_token(parameters=('n',)); print(t.get_tile_url('json', n=3), t.is_live)"
        address, is_live = addresses(kernel, code)
        address = address.format(z=0, x=0, y=0)
        (other,) = addresses(kernel, "u = shared.create_access_token(); print(u.get_tile_url('json'))")
        other = other.format(z=0, x=0, y=0)

        assert is_live == "True"
        assert server.get(address, login=False).json() == {"n": 3, "word": ""}
        assert server.get(f"{address}&word=a", login=False).status == 422
        kernel.define(CODE.format(factor=10))
        assert server.get(address, login=False).json()["n"] == 30
        kernel.execute("t.update(parameters=('n', 'word'))").check()
        assert server.get(f"{address}&word=a", login=False).json()["word"] == "a"
        kernel.execute("u.delete()").check()
        assert (server.get(other, login=False).status, server.get(address, login=False).status) == (404, 200)
    assert server.get(address, login=False).status == 404


def test_saved_udf_and_its_token_outlive_the_kernel(server: JupyterServer) -> None:
    """Each change holds from the next request on, whoever makes it."""
    with server.running_kernel() as kernel:
        kernel.define(CODE.format(factor=1))
        code = (
            "shared.to_fused(); t = shared.create_access_token(); print(t.get_tile_url('json', n=3), t.id, t.is_live)"
        )
        address, token, is_live = addresses(kernel, code)
        address = address.format(z=0, x=0, y=0)
        assert is_live == "False"
    assert server.get(address, login=False).json()["n"] == 3

    with server.running_kernel() as kernel:
        kernel.execute("%load_ext fused_jupyter").check()
        kernel.define(CODE.format(factor=10))
        assert server.get(address, login=False).json()["n"] == 3
        kernel.execute("shared.to_fused(overwrite=True)").check()
        assert server.get(address, login=False).json()["n"] == 30
        kernel.execute(f"t = fused.api.update_udf_access_token({token!r}, enabled=False)").check()
        assert server.get(address, login=False).status == 404
        kernel.execute("t.update(enabled=True, rate=100)").check()
        assert server.get(address, login=False).status == 200
        kernel.execute("fused.load('me/shared').delete_saved()").check()
    assert server.get(address, login=False).status == 404


SIBLINGS = """
for text in (
    "def inner(n: int): return {'inner': n}",
    "def outer(n: int): return fused.run('inner', n=n + 1)",
):
    fused.load(text + "\\n").to_fused(True, collection_name="siblings", create_collection=True)
"""


def test_saved_udf_finds_its_siblings_without_a_kernel(server: JupyterServer, kernel: Kernel) -> None:
    """By their names alone, in the process that serves saved UDFs; what is kept of it ends when one is saved anew."""
    kernel.execute(SIBLINGS).check()
    code = "print(fused.load('siblings/outer').create_access_token().get_tile_url('json', n=2))"
    (address,) = addresses(kernel, code)

    def ask() -> object:
        return server.get(address.format(z=0, x=0, y=0), login=False).json()

    assert ask() == ask() == {"inner": 3}
    kernel.execute(SIBLINGS.replace("'inner': n", "'inner': 10 * n")).check()
    assert ask() == ask() == {"inner": 30}


def test_token_of_a_collection_opens_each_of_it_by_its_name(server: JupyterServer, kernel: Kernel) -> None:
    """At the addresses that the notebook gives."""
    kernel.execute(SIBLINGS).check()
    code = """
t = fused.api.create_collection_access_token("siblings")
print(*(t.for_udf(name).get_file_url(format, n=2) for name in ("inner", "outer") for format in ("json", None)))
"""

    answers = [server.get(address, login=False) for address in addresses(kernel, code)]

    assert [(answer.status, answer.json()) for answer in answers] == [
        (200, {"inner": 2}),
        (200, {"inner": 2}),
        (200, {"inner": 3}),
        (200, {"inner": 3}),
    ]


def test_secret_is_in_nothing_that_the_notebook_saves(kernel: Kernel) -> None:
    """Of cells that end in the UDF, the token, or the list of tokens."""
    kernel.define("def hidden(): return 1")

    shown = [
        kernel.execute(code).check()
        for code in ("t = hidden.create_access_token(); t", "hidden.get_access_tokens()", "hidden", "[t]", "vars()")
    ]
    (secret,) = addresses(kernel, "print(t.token)")

    assert secret.startswith("fsh_")
    assert secret not in repr(shown)
    assert "YOUR_TOKEN" in repr(shown)
