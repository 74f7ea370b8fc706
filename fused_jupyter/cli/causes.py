"""Why a UDF fails: for its data, for what it may not see, for what is not installed, or for us."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fused_jupyter.cli.running import Outcome

_CAUSES: dict[str, tuple[str, ...]] = {
    "asks for an argument": ("ArgumentError: .*missing, the UDF needs it",),
    "needs a module": (
        "ModuleNotFoundError",
        "No module named",
        "ImportError: (?!cannot import name)",
        "is not installed",
        "pip install",
    ),
    "needs Fused's cloud": ("Fused's cloud",),
    "needs a bucket": ("s3:// is not served",),
    "is no UDF": ("UdfDefinitionError",),
    "needs credentials": (
        "NoCredential",
        "[Cc]redentials",
        "(API|api)[ _-]?[Kk](ey|EY)",
        r"\b40[13]\b",
        "Unauthorized",
        "Forbidden",
        "Access ?Denied",
        "[Aa]uthenticat",
        "[Tt]oken (is )?(missing|required|invalid)",
        "no secret",
    ),
    "needs the network": (
        "gaierror",
        "[Nn]ame or service not known",
        "name resolution",
        "(resolve|lookup) host|ailed to resolve",
        "Connection ?([Ee]rror|[Rr]efused|[Rr]eset|[Aa]borted)",
        "Connect(Error|Timeout)|ReadTimeout|RemoteDisconnected|ProxyError|URLError|HTTPError|Max retries",
        "[Nn]etwork is unreachable",
        "EndpointConnection|[Cc]ould not (be )?connect",
        "CURL|curl error|dns error|error sending request",
        "HTTP (GET|HEAD|error|code)",
        "IO Error: .*(http|connect|download)",
        "Failed to (download|fetch|open.*http)",
        "/vsi(curl|s3)",
    ),
    "took too long": ("TimeoutError", "timed out", "longer than"),
    "needs a file": ("FileNotFoundError", "No such file", "does not exist", "No files found"),
}
"""First match counts; what matches none is the UDF's own error, or ours."""


def cause_of(error: str) -> str:
    """A cause, or `other`.

    >>> cause_of("ModuleNotFoundError: No module named 'osmnx'")
    'needs a module'
    """
    return next((cause for cause, patterns in _CAUSES.items() if re.search("|".join(patterns), error)), "other")


class Tally:
    """Counts of outcomes by cause."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._others: list[str] = []

    def count(self, outcome: Outcome) -> None:
        """One more UDF."""
        cause = "ran" if not outcome.failed else cause_of(outcome.said)
        self._counts[cause] += 1
        if cause == "other":
            self._others.append(f"{outcome.name}: {outcome.said}")

    @property
    def ours(self) -> int:
        """Those that failed for a reason that is none of the known ones; they are to be looked at."""
        return len(self._others)

    def __str__(self) -> str:
        rows = [f"{count:>6}  {cause}" for cause, count in self._counts.most_common()]
        others = [f"        {other[:200]}" for other in self._others]
        return "\n".join([f"{sum(self._counts.values()):>6}  UDFs", *rows, *others])
