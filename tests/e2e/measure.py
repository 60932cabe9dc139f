"""What can be measured from outside."""

from collections.abc import Sequence
from math import ceil
from pathlib import Path
import re


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that so large a share of them, from 0 to 1, don't exceed."""
    return sorted(values)[max(0, ceil(share * len(values)) - 1)]


def milliseconds(values: Sequence[float], share: float) -> str:
    """Return a percentile of seconds as it is printed."""
    return f"{1000 * percentile(values, share):.1f} ms"


def resident_mib(pid: int | None) -> float:
    """Return how much memory a process has."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0
