"""`fused.set_env`: variables that UDFs get, beside those that the notebook has."""

from __future__ import annotations

from fused_jupyter.runtime import current_kernel


def set_env(**variables: str | None) -> None:
    """Set environment variables of all UDFs of this notebook, from their next run on; None takes one away again.

        fused.set_env(AWS_PROFILE="maps", GDAL_CACHEMAX="512")

    The notebook's own environment stays as it is. The values are kept in memory only, by this kernel and its host. A
    result in the cache was made with the variables of its time, so other variables are another result.

    Args:
        **variables: names and values.

    Raises:
        ArgumentError: a name that no UDF can have, such as JUPYTER_TOKEN.
        NoServerError: inside a UDF, where `os.environ` does it for that run.
    """
    current_kernel().choose_environment(variables)
