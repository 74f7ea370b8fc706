"""How much memory a run needs at most, beyond what its process had before."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import sys

_IS_LINUX = sys.platform.startswith("linux")
_UNIT = 1 if sys.platform == "darwin" else 1024

_c = ctypes.PyDLL(None)  # unlike the functions of `os`, it keeps the interpreter while it reads


class PeakMemory:
    """Measures from when it is made. Costs some microseconds; processes that the UDF starts are not counted."""

    def __init__(self) -> None:
        # Linux forgets the peak so far. Elsewhere, and where /proc is closed, a run is seen only where it needs more
        # than all before it. Opened each time: a UDF may close the descriptor and open its own file under the number.
        with contextlib.suppress(OSError):
            descriptor = os.open("/proc/self/clear_refs", os.O_WRONLY)
            try:
                os.write(descriptor, b"5")
            finally:
                os.close(descriptor)
        self._before = highest_memory()

    @property
    def growth(self) -> int:
        """Bytes by which resident memory grew at most."""
        return max(0, highest_memory() - self._before)


def highest_memory() -> int:
    """Bytes of resident memory that this process had at most, since its start or the last `PeakMemory`."""
    # As exact as VmHWM in /proc/self/status at a twentieth of the price: a forked worker has no peak of before exec.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT


def resident_memory() -> int:
    """Bytes of resident memory that this process has now; 0 where the system does not say. Lets no other thread in."""
    if not _IS_LINUX:
        return 0
    text = ctypes.create_string_buffer(128)
    descriptor = _c.open(b"/proc/self/statm", os.O_RDONLY)
    length = _c.read(descriptor, text, len(text))
    _c.close(descriptor)
    return int(text.value.split()[1]) * resource.getpagesize() if length > 0 else 0
