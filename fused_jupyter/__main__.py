"""`python -m fused_jupyter`, for where no `fused` is on the PATH, or another one."""

from __future__ import annotations

import sys

from fused_jupyter.cli import main

sys.exit(main())
