"""What happened, line by line; the same seed makes the same lines."""

from collections import deque
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import TextIO

# So many of the last lines are shown of a run that failed.
_LAST = 40


class Log:
    """Keeps the last lines and a digest of all; writes all of them where that is wanted."""

    def __init__(self, clock: Callable[[], datetime], file: TextIO | None = None) -> None:
        """Begin with nothing."""
        self._clock = clock
        self._file = file
        self._hash = sha256()
        self.last = deque[str](maxlen=_LAST)
        self.lines = 0

    def write(self, text: str) -> None:
        """Add a line."""
        line = f"{self._clock():%Y-%m-%d %H:%M:%S.%f} {text}\n"
        self._hash.update(line.encode())
        self.last.append(line)
        self.lines += 1
        if self._file is not None:
            self._file.write(line)

    @property
    def digest(self) -> str:
        """What two logs have in common that are the same to the byte."""
        return self._hash.hexdigest()
