"""What the Hub gives to a user's server stays there."""

from __future__ import annotations

import psutil
from processes import command_of
from real_hub import HubUser
from real_jupyter import Kernel


def test_no_process_that_runs_udfs_has_the_hubs_token(ana: HubUser, kernel: Kernel) -> None:
    """The kernel has it, as in any notebook; a UDF does not find it, nor does any process between the two hold it."""
    kernel.define(
        """
        @fused.udf
        def variables():
            import os
            return dict(os.environ)
        """
    )
    token = kernel.execute("import os; print(os.environ['JUPYTERHUB_API_TOKEN'])").check().text.strip()

    seen = ana.get("fused/run/file/variables.json").json()

    assert token
    assert token not in str(seen)
    assert "JUPYTERHUB_API_TOKEN" not in seen
    assert seen["JUPYTERHUB_USER"] == "ana"
    below = [process for process in psutil.Process(kernel.pid()).children(recursive=True) if command_of(process)]
    assert len(below) >= 3  # the host, a template, a worker
    assert [process for process in below if token in process.environ().values()] == []
