"""What is true at a made-up provider, and what it answers, when it is told to."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import ClassVar, override

from custom_components.crypto_invoices.book.transitions import is_step_back
from custom_components.crypto_invoices.providers.model import (
    Account,
    AuthError,
    BadResponse,
    Invoice,
    InvoiceNotFound,
    InvoiceStatus as S,
    ProviderError,
    ProviderUnavailable,
    UnavailableReason,
)
from custom_components.crypto_invoices.providers.pages import Page, each_once
from custom_components.crypto_invoices.providers.provider import Provider

INVOICES = ("A", "B", "C")
# What may be made elsewhere, one after the other. The others are too old to be listed.
ELSEWHERE = ("D", "E", "F", "G", "H")
# The third is a test: its money counts in no sum.
TESTS = frozenset({"C"})
AMOUNT = Decimal("4.25")
EVENTS = {
    "is paid": S.PAID,
    "is partly paid": S.PARTIALLY_PAID,
    "is overpaid": S.OVERPAID,
    "is taken back": S.PENDING,
    "expires": S.EXPIRED,
}
# So long after it was paid, it is noticed without a hint that it is overpaid or taken back: the
# last poll comes after an hour, or somewhat earlier.
_REVERTED_FOR = 3000.0
# So long after it ended, late money is noticed without a hint: it is polled every hour for a day.
_LATE_MONEY_FOR = 22 * 60 * 60.0
_ENDED_UNPAID = frozenset({S.EXPIRED, S.CANCELED, S.FAILED, S.UNDERPAID})
# For so many seconds a false answer has to be repeated before it is believed.
_DOUBTED_FOR = 120.0
RECEIVED = {
    S.PAID: AMOUNT,
    S.OVERPAID: AMOUNT + 1,
    S.PARTIALLY_PAID: AMOUNT - 1,
}
# Rows of a page of the list, and how long one waits for a page.
_PAGE = 2
_PAGE_TIMEOUT = 30.0
ANSWERS = ("the truth", "yesterday's state", "a part", "an unknown word", "a refusal", "an outage")


@dataclass
class Truth:
    """What is so with one invoice, and what was so before."""

    status: S = S.PENDING
    before: S = S.PENDING
    since: float = 0.0
    """When it became what it is."""
    before_since: float = 0.0
    """When it became what it was before."""
    paid_since: float = 0.0
    """When it became paid last, as far as answers showed that it wasn't meanwhile."""
    payments: int = 0
    """How often it became paid."""
    reverts: int = 0
    """How often its payment was taken back."""
    lied_since: float | None = None
    """When the first of the false answers was received that no true one has contradicted."""
    answered_at: float = 0.0
    """When the last reading of it was received, which no page of the list is."""
    was_last_false: bool = False
    """Whether it was false."""
    false_reverts: int = 0
    """How often false answers were repeated for so long that they had to be believed."""
    was_said_paid: bool = False
    """Whether the last answer said that it is paid."""
    false_payments: int = 0
    """How often answers began to say that it is paid when it was no longer."""
    false_beginnings: int = 0
    """How often answers said that it isn't paid when it was."""
    made: datetime | None = None
    """When it was made elsewhere."""
    is_dated: bool = True
    """Whether the provider says when it was made."""
    order_id: str | None = None
    listed_from: float = 0.0
    """From when on the list has it."""


@dataclass(eq=False)
class Question:
    """A request that was sent, and is not answered yet."""

    ids: tuple[str, ...]
    answer: asyncio.Future[Mapping[str, Invoice | ProviderError]]
    then: dict[str, S]
    """What was so when it was sent."""
    asked: float
    """When it was sent."""
    is_list: bool = False
    """Whether it asks for a page of the list, which says nothing new of what is watched."""


@dataclass
class World:
    """The provider's side."""

    truth: dict[str, Truth] = field(default_factory=lambda: {id_: Truth() for id_ in INVOICES})
    questions: list[Question] = field(default_factory=list)
    is_held: bool = False
    """Whether answers wait until they are released."""
    mood: str = "the truth"
    """What is answered while nothing is held."""
    clock: Callable[[], datetime] | None = None
    """What time it is at the provider, if it says so."""
    is_newest_first: bool = True
    """Whether the list begins with what was made last."""

    def happen(self, id_: str, status: S, now: float) -> None:
        """Let something happen to an invoice, unless that is too late to be promised."""
        truth = self.truth[id_]
        is_polled_less = truth.status.is_paid or is_step_back(truth.status, status)
        watched_for = _REVERTED_FOR if is_polled_less else _LATE_MONEY_FOR
        is_over = is_polled_less or truth.status in _ENDED_UNPAID
        since = truth.paid_since if truth.status.is_paid else truth.since
        is_too_late = is_over and now > since + watched_for
        if truth.status is not status and not is_too_late:
            if status.is_paid and not truth.was_said_paid:
                truth.paid_since = now
            truth.before_since, truth.since = truth.since, now
            truth.reverts += truth.status.is_paid and not status.is_paid
            truth.payments += status.is_paid and not truth.status.is_paid
            truth.before, truth.status = truth.status, status

    @property
    def made(self) -> list[str]:
        """The invoices that were made elsewhere, the oldest first."""
        return [id_ for id_, truth in self.truth.items() if truth.made is not None]

    def listed(self, now: float) -> list[str]:
        """Return what the list has, in its order."""
        listed = [id_ for id_ in self.made if self.truth[id_].listed_from <= now]
        return listed[::-1] if self.is_newest_first else listed

    def invoice(self, id_: str, status: S | None = None) -> Invoice:
        """Return an invoice as it is described, now or then."""
        truth = self.truth[id_]
        status = status or truth.status
        return Invoice(
            id=id_,
            status=status,
            provider_status=status.value,
            amount=AMOUNT,
            currency="EUR",
            amount_received=RECEIVED.get(status, Decimal(0)),
            order_id=truth.order_id,
            created_at=truth.made if truth.is_dated else None,
            is_test=id_ in TESTS,
        )

    def rows(self, question: Question, how: str) -> Mapping[str, Invoice | ProviderError]:
        """Return an answer. Raises a ProviderError."""
        known = [id_ for id_ in question.ids if id_ in question.then]
        match how:
            case "yesterday's state":
                return {id_: self.invoice(id_, self.truth[id_].before) for id_ in known}
            case "a part" if known:
                first, *others = known
                errors = (BadResponse("spoiled"), InvoiceNotFound(first))
                return {
                    first: errors[len(first) % 2],
                    **{id_: self.invoice(id_, question.then[id_]) for id_ in others},
                }
            case "an unknown word":
                return {id_: self.invoice(id_, S.UNKNOWN) for id_ in known}
            case "a refusal":
                raise AuthError("HTTP 403")
            case "an outage":
                raise ProviderUnavailable(UnavailableReason.TIMEOUT)
        return {id_: self.invoice(id_, question.then[id_]) for id_ in known}

    def release(self, question: Question, how: str) -> None:
        """Answer a question."""
        self.questions.remove(question)
        if question.answer.done():
            return
        try:
            rows = self.rows(question, how)
        except ProviderError as err:
            question.answer.set_exception(err)
            return
        now = question.answer.get_loop().time()
        for id_, row in rows.items():
            if isinstance(row, Invoice):
                truth = self.truth[id_]
                self._note_answer(truth, row.status, question.asked, now)
                if not question.is_list and row.status is not S.UNKNOWN:
                    truth.answered_at = now
                    truth.was_last_false = row.status is not truth.status
        question.answer.set_result(rows)

    def is_misled(self, id_: str) -> bool:
        """Whether the last poll that came without a hint brought what was so before."""
        truth = self.truth[id_]
        since = truth.paid_since if truth.before.is_paid else truth.before_since
        return truth.was_last_false and truth.answered_at > since + _REVERTED_FOR

    def _note_answer(self, truth: Truth, said: S, asked: float, now: float) -> None:
        """Note for how long what was answered has been false."""
        truth.false_beginnings += truth.status.is_paid and not said.is_paid
        if said is S.UNKNOWN:
            return
        is_false = said.is_paid and not truth.status.is_paid
        truth.false_payments += is_false and not truth.was_said_paid
        truth.was_said_paid = said.is_paid
        if not said.is_paid:
            if truth.lied_since is None:
                truth.lied_since = now
            elif asked >= truth.lied_since + _DOUBTED_FOR:
                truth.false_reverts += truth.status.is_paid
                truth.lied_since = now
        elif asked >= truth.answered_at:
            truth.lied_since = None


class MadeUpProvider(Provider):
    """Asks the world."""

    key = "made_up"
    name = "Made up"
    fields = ()
    batch_size = 10
    can_revert = True

    world: ClassVar[World]

    @classmethod
    @override
    def parse_invoice_id(cls, text: str) -> str | None:
        return text

    @override
    async def async_get_account(self) -> Account:
        self._note_time()
        return Account(unique_id="1", title="Made up")

    @override
    async def _async_read(self, ids: tuple[str, ...]) -> Mapping[str, Invoice | ProviderError]:
        return await self._async_ask(ids)

    async def async_list_invoices(
        self, *, since: datetime, until: datetime | None = None, order_id: str | None = None
    ) -> AsyncIterator[Invoice]:
        """Yield what was made elsewhere, a page at a time."""
        pages = each_once(
            self._async_read_page, since=since, until=until, order_id=order_id, size=_PAGE
        )
        async for invoice in pages:
            yield invoice

    async def _async_read_page(self, offset: int, size: int) -> Page:
        """Ask for a page of the list as it is now."""
        listed = self.world.listed(self.clock())
        ids = tuple(listed[offset : offset + size])
        try:
            async with asyncio.timeout(_PAGE_TIMEOUT):
                found = await self._async_ask(ids, is_list=True)
        except TimeoutError as err:
            raise ProviderUnavailable(UnavailableReason.TIMEOUT) from err
        return Page(len(ids), found, len(listed))

    async def _async_ask(
        self, ids: tuple[str, ...], *, is_list: bool = False
    ) -> Mapping[str, Invoice | ProviderError]:
        """Ask a question, and wait until it is answered."""
        world = self.world
        then = {id_: truth.status for id_, truth in world.truth.items()}
        answer = asyncio.get_running_loop().create_future()
        question = Question(ids, answer, then, self.clock(), is_list)
        world.questions.append(question)
        if not world.is_held:
            world.release(question, world.mood)
        try:
            rows = await question.answer
            self._note_time()
            return rows
        finally:
            if question in world.questions:
                world.questions.remove(question)

    def _note_time(self) -> None:
        """Say what time it is, where the provider does."""
        if self.world.clock is not None:
            self.http.server_time = self.world.clock(), self.clock()
