"""Listens to providers that can be listened to."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
import logging

from ..providers.model import ProviderError
from ..providers.push import CanStream, Hint
from ..reading.back_off import BackOff

_LOGGER = logging.getLogger(__name__)

FIRST_DELAY = 5.0
LONGEST_DELAY = 5 * 60.0
# A connection that lasted this many seconds, or brought something, was a success.
LASTED = 30.0


async def async_listen(
    name: str,
    provider: CanStream,
    *,
    hint: Callable[[Hint], object],
    open_invoices: Callable[[], Iterable[str]],
    clock: Callable[[], float],
    back_off: BackOff,
) -> None:
    """Connect again whenever the connection ends, each time later if nothing comes of it.

    Runs until it is cancelled.
    """
    may_have_missed = True
    while True:
        began, brought_something = clock(), False
        try:
            async for news in provider.async_stream():
                if news.invoice_ids:
                    brought_something = True
                    # The connection is our own, whoever else may write to it.
                    hint(replace(news, is_verified=True))
                elif may_have_missed:
                    may_have_missed = False
                    hint(Hint(invoice_ids=frozenset(open_invoices()), is_verified=False))
        except ProviderError as err:
            _LOGGER.debug("%s: the stream ended: %r", name, err)
        except Exception:
            # A mistake of ours, which must not end the listening.
            _LOGGER.exception("%s: the stream broke off", name)
        # Of a server that hangs up on everybody, polls bring more than connections do.
        if brought_something or clock() - began >= LASTED:
            may_have_missed = True
            back_off.succeeded()
        await asyncio.sleep(back_off.failed(ProviderError()))
