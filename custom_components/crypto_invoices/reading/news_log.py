"""Logs, once each, what a reading brought that a user may have to check."""

import logging

from ..errors import error_key, status_word
from .watched import Taken

_LOGGER = logging.getLogger(__name__)


class NewsLog:
    """What was logged of one account."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._unknown_words: set[str] = set()

    def log(self, account: str, taken: Taken) -> None:
        """Log what can't be read, can be read again, or has a status that nobody knows."""
        if taken.lost:
            lost = ", ".join(f"{id_} ({error_key(err)})" for id_, err in taken.lost.items())
            _LOGGER.warning("%s: can't read invoice %s", account, lost)
        if taken.found:
            _LOGGER.info("%s: can read invoice %s again", account, ", ".join(taken.found))
        for word in {status_word(word) for word in taken.unknown_words} - self._unknown_words:
            self._unknown_words.add(word)
            _LOGGER.warning("%s: unknown invoice status %r", account, word)
