"""One reading: what it takes is planned again, so that whatever becomes of it, it comes again."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime

from ..providers.budget import WINDOW
from ..providers.model import Answer, ProviderError, ProviderUnavailable, UnavailableReason
from ..providers.provider import Provider
from .allowance import Allowance
from .clocks import Clocks
from .intake import Intake
from .schedule import find_company, take_due
from .standing import Standing
from .watched import Taken, Watched

# A reading has this many seconds once it is its turn, and what it reads comes again after that.
READING_DEADLINE = 60.0
_LEASE = READING_DEADLINE + WINDOW + 15.0


class Lease:
    """Takes invoices, reads them, and enters what that brought."""

    def __init__(
        self,
        *,
        provider: Provider,
        intake: Intake,
        clocks: Clocks,
        allowance: Allowance,
        standing: Standing,
        done: Callable[[Taken], Awaitable[None]],
        failed: Callable[[ProviderError, list[Watched]], None],
    ) -> None:
        """Begin without a reading; ``done`` follows up on each, ``failed`` notes a failure."""
        self._provider = provider
        self._intake = intake
        self._clocks = clocks
        self._allowance = allowance
        self._standing = standing
        self._done = done
        self._failed = failed
        self.last_reading: datetime | None = None
        """When the provider last answered, by the clock on the wall."""

    async def async_read_due(self, until: float) -> None:
        """Read what is due until then, as much as there is room for. Raises a ProviderError."""
        self._intake.follow_book()
        due = take_due(
            self._intake.planned,
            until,
            self._allowance.for_poll(is_failing=self._standing.is_failing),
            self._provider.batch_size,
            lease=_LEASE,
        )
        self._allowance.count_poll(len(due))
        if due:
            await self.async_read(due)

    def take(self, wanted: Iterable[Watched]) -> None:
        """Plan invoices that are about to be read, due or not."""
        for one in wanted:
            one.plan(self._clocks.monotonic() + _LEASE)

    async def async_read(self, wanted: list[Watched]) -> None:
        """Read what was taken, and follow up on what that brought. Raises a ProviderError."""
        answers: list[Answer] | None = None
        wanted = [*wanted, *find_company(wanted, self._intake.watched.values())]
        try:
            # What has to wait in line is not slow for that.
            async with asyncio.timeout(
                READING_DEADLINE + self._allowance.seconds_in_line(len(wanted))
            ):
                answers = await self._provider.async_get_answers(one.record.id for one in wanted)
        except TimeoutError as err:
            error = ProviderUnavailable(UnavailableReason.TIMEOUT, "the reading took too long")
            self._note_failure(error, wanted)
            raise error from err
        except ProviderError as err:
            self._note_failure(err, wanted)
            raise
        except Exception as err:
            self._standing.failed(err)
            raise
        finally:
            if answers is None:
                self.make_due(wanted)
        self._note_success(answers)
        self._intake.follow_book()
        await self._done(await self._intake.async_take(answers))

    def make_due(self, wanted: Iterable[Watched]) -> None:
        """Plan what could not be read: now, which waits for the provider as everything does."""
        for one in wanted:
            one.plan(self._clocks.monotonic())

    def _note_failure(self, err: ProviderError, wanted: list[Watched]) -> None:
        """Leave the provider alone for a while."""
        self._standing.failed(err)
        self._failed(err, wanted)

    def _note_success(self, answers: list[Answer]) -> None:
        """Note that the provider answered, and the pause that it may ask for."""
        self.last_reading = self._clocks.wall()
        self._standing.answered(row for answer in answers for row in answer.rows.values())
