"""What a notebook shows below a cell that defines a UDF."""

from __future__ import annotations

import html

from fused_jupyter.errors import NoServerError
from fused_jupyter.runtime import current_kernel
from fused_jupyter.udfs import UdfDefinition


def card(definition: UdfDefinition) -> str:
    """What a notebook shows: signature, addresses, what to do next. Under 3 kB, and no script."""
    try:
        runtime = current_kernel()
        server = runtime.server()
        rows = "".join(
            _address_row(kind, f"{server.base_url}{path}", runtime.kernel_id)
            for kind, path in (
                ("file", f"fused/run/file/{definition.name}"),
                ("tiles", f"fused/run/tiles/{definition.name}/{{z}}/{{x}}/{{y}}"),
            )
        )
        state = f"host {runtime.link.pid} running" if runtime.link.pid else "the host starts with the first call"
    except NoServerError as exc:
        rows, state = f"<div style='opacity:.75'>{html.escape(exc.message)}</div>", "no Jupyter server"
    about = [definition.description.partition("\n")[0], _of_the_notebook(definition), _saved(definition)]
    return (
        "<div style='font-size:13px;line-height:1.6'>"
        f"<div><code style='font-weight:600'>{html.escape(definition.signature)}</code></div>"
        f"{''.join(f'<div>{html.escape(line)}</div>' for line in about if line)}{rows}"
        f"<div style='opacity:.75'>{html.escape(state)} · next: <code>{definition.name}()</code> "
        f"<code>{definition.name}.map()</code> <code>{definition.name}.create_access_token()</code></div></div>"
    )


def _saved(definition: UdfDefinition) -> str:
    """Where this version was saved."""
    collection = definition.metadata.get("fused:collection")
    return f"saved as {collection}/{definition.name}" if collection else ""


def _of_the_notebook(definition: UdfDefinition) -> str:
    """What it has of the notebook, beside its own code."""
    parts = ["runs in the kernel and sees its variables"] if definition.runs_in_kernel else []
    if definition.uses:
        parts.append(f"uses {', '.join(definition.uses)} as of now: run the cell again when they change")
    return " · ".join(parts)


def _address_row(kind: str, path: str, kernel_id: str) -> str:
    address = f"{path}?kernel={kernel_id}"
    # The browser knows under which origin the server is reached; the kernel often does not.
    copy = "navigator.clipboard.writeText(location.origin+this.dataset.u).then(()=>{this.textContent='copied'})"
    button = (
        "cursor:pointer;border:1px solid currentColor;border-radius:3px;background:none;color:inherit;font-size:11px"
    )
    return (
        f"<div><span style='display:inline-block;width:3em;opacity:.75'>{kind}</span><code>{html.escape(path)}</code> "
        f'<button style="{button}" data-u="{html.escape(address, quote=True)}" onclick="{copy}">copy</button></div>'
    )
