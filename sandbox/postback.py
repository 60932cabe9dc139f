"""Posting back: a provider tells a server of the merchant's what became of an invoice."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from itertools import chain, repeat
import time
from typing import Any, TypedDict, Unpack

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector, ThreadedResolver, web
from yarl import URL

from .invoice import SandboxInvoice
from .letter import Draft, Format, Signature
from .provider import Provider
from .states import ConflictError, SandboxError, State, known
from .store import Change, Store
from .wire import is_loopback

AGEING_INTERVAL = 1.0
EXPIRED_SINCE = timedelta(hours=1)
KEPT = 10_000


class TargetOptions(TypedDict, total=False):
    """What can be said of a target besides its address."""

    format: str
    signature: str
    on: Iterable[str]
    retries: int
    retry_delay: float


class SendOptions(TypedDict, total=False):
    """What can be said of a sending on demand, in place of what the target says."""

    format: str
    signature: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to post to, how, and on reaching which states."""

    url: str
    format: Format
    signature: Signature
    on: tuple[State, ...]
    retries: int = 0
    retry_delay: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One attempt to post, and what came of it."""

    provider: str
    invoice_id: str
    state: State
    url: str
    format: Format
    signature: Signature
    attempt: int
    sent_at: float
    """Just before it was sent, by the clock that stamps reports as `monotonic`."""

    seconds: float
    status: int | None
    error: str | None

    @property
    def is_worth_repeating(self) -> bool:
        """Whether the failure may be a passing one."""
        return self.status is None or self.status in {408, 429} or self.status >= 500


def chosen[Choice: StrEnum](name: str, value: object, choices: Iterable[Choice]) -> Choice:
    """Return the choice that was named, or raise."""
    choices = tuple(choices)
    for choice in choices:
        if choice == value:
            return choice
    raise SandboxError(f"{name} can be {', '.join(choices)}")


def _checked(url: str) -> str:
    """Return the address if it is one on this machine."""
    with suppress(ValueError):
        parsed = URL(url)
        if parsed.scheme == "http" and is_loopback(parsed.host or ""):
            return url
    raise SandboxError(f"url must begin with http and a loopback address, not be {url}")


class Postbacks:
    """Where each provider posts to, and what was posted."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        store: Store,
        settings: Mapping[str, Mapping[str, str]],
        *,
        timeout: float,
    ) -> None:
        """Begin with nowhere to post to."""
        self.targets: dict[str, Target] = {}
        self.deliveries: dict[str, deque[Delivery]] = {
            provider: deque(maxlen=KEPT) for provider in providers
        }
        self.origin = "http://localhost"
        self._providers = providers
        self._store = store
        self._settings = settings
        self._timeout = timeout
        self._session: ClientSession | None = None
        self._ageing: asyncio.Task[None] | None = None
        self._under_way: set[asyncio.Task[None]] = set()
        store.subscribe(self._heard)

    def target(
        self, provider: str, url: str | None, **options: Unpack[TargetOptions]
    ) -> Target | None:
        """Post to an address from now on, or nowhere; what isn't said is as the provider does."""
        way = known(self._providers, provider).postback
        if url is None:
            self.targets.pop(provider, None)
        else:
            self.targets[provider] = Target(
                url=_checked(url),
                format=chosen("format", options.get("format", way.formats[0]), way.formats),
                signature=chosen("signature", options.get("signature", Signature.GOOD), Signature),
                on=tuple(chosen("on", state, State) for state in options.get("on", way.sent_on)),
                retries=options.get("retries", 0),
                retry_delay=options.get("retry_delay", 0),
            )
        self._let_time_pass()
        return self.targets.get(provider)

    async def send(
        self,
        provider: str,
        *invoices: SandboxInvoice | str,
        times: int = 1,
        delay: float = 0,
        at_once: int = 1,
        **options: Unpack[SendOptions],
    ) -> list[Delivery]:
        """Post about invoices, in that order, whatever their state, and wait for the answers."""
        way = known(self._providers, provider).postback
        target, session = self.targets.get(provider), self._session
        if target is None or session is None:
            raise ConflictError(f"{provider} has nowhere to post to")
        target = replace(
            target,
            format=chosen("format", options.get("format", target.format), way.formats),
            signature=chosen("signature", options.get("signature", target.signature), Signature),
        )
        told = [
            replace(self._store.get(provider, each) if isinstance(each, str) else each)
            for each in invoices
        ]
        if "state" in options:
            state = chosen("state", options["state"], State)
            told = [replace(invoice, state=state) for invoice in told]
        waiting = chain.from_iterable(repeat(told, times))
        deliveries: list[Delivery] = []

        async def post_each() -> None:
            await asyncio.sleep(delay)
            for invoice in waiting:
                await self._deliver(session, target, invoice, deliveries)

        workers = {self._start(post_each()) for _ in range(at_once)}
        await asyncio.wait(workers)
        for worker in workers:
            if not worker.cancelled():
                worker.result()
        return sorted(deliveries, key=lambda delivery: delivery.sent_at)

    async def settled(self) -> None:
        """Wait until nothing is under way."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def run(self, app: web.Application) -> AsyncIterator[None]:
        """Be able to post, from the server's start to its end."""
        async with ClientSession(
            timeout=ClientTimeout(total=self._timeout),
            connector=TCPConnector(limit=0, resolver=ThreadedResolver()),
        ) as self._session:
            self._let_time_pass()
            yield
            await self.stop(app)
        self._session = None

    async def stop(self, app: web.Application) -> None:
        """End everything that is under way, and begin nothing more."""
        self.targets.clear()
        self._let_time_pass()
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def _heard(self, change: Change) -> None:
        """Post about a change, if the provider does."""
        invoice, target = change.invoice, self._target_of(change.invoice)
        moved = change.before is not None and change.before != change.after
        if target and self._session and moved and change.after in target.on:
            # It may be in another state when its turn comes.
            self._start(self._deliver(self._session, target, replace(invoice), []))

    def _target_of(self, invoice: SandboxInvoice) -> Target | None:
        """Return where changes of an invoice go: where was asked for when it was made, else all."""
        target, url = self.targets.get(invoice.provider), invoice.callback_url
        if url is None:
            return target
        if target is not None:
            return replace(target, url=url)
        way = self._providers[invoice.provider].postback
        return Target(url=url, format=way.formats[0], signature=Signature.GOOD, on=way.sent_on)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Work in the background, until the server ends at the latest."""
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    async def _deliver(
        self,
        session: ClientSession,
        target: Target,
        invoice: SandboxInvoice,
        deliveries: list[Delivery],
    ) -> None:
        """Post, again if need be, and keep what came of it."""
        for attempt in range(1, target.retries + 2):
            if attempt > 1:
                await asyncio.sleep(target.retry_delay)
            delivery = await self._post(session, target, invoice, attempt)
            deliveries.append(delivery)
            self.deliveries[invoice.provider].append(delivery)
            if not delivery.is_worth_repeating:
                return

    async def _post(
        self, session: ClientSession, target: Target, invoice: SandboxInvoice, attempt: int
    ) -> Delivery:
        """Post once."""
        provider, now = self._providers[invoice.provider], self._store.clock()
        draft = Draft(
            invoice=invoice,
            format=target.format,
            signature=target.signature,
            secrets={**provider.credentials, **provider.push_credentials},
            settings=self._settings[provider.key],
            origin=self.origin,
            now=now - EXPIRED_SINCE if target.signature is Signature.EXPIRED else now,
        )
        letter = provider.postback.write(draft)
        status = error = None
        sent_at = time.monotonic()
        try:
            async with session.post(
                target.url, data=letter.body, headers=letter.headers, allow_redirects=False
            ) as response:
                status = response.status
        except TimeoutError:
            error = f"no answer within {self._timeout:g} seconds"
        except ClientError as problem:
            error = str(problem) or type(problem).__name__
        return Delivery(
            provider=provider.key,
            invoice_id=invoice.id,
            state=invoice.state,
            url=target.url,
            format=target.format,
            signature=target.signature,
            attempt=attempt,
            sent_at=sent_at,
            seconds=time.monotonic() - sent_at,
            status=status,
            error=error,
        )

    def _let_time_pass(self) -> None:
        """Look for what has expired, but only while somebody would hear of it."""
        if self._ageing and not self.targets:
            self._ageing.cancel()
            self._ageing = None
        elif self.targets and self._session and not self._ageing:
            self._ageing = asyncio.create_task(self._age())

    async def _age(self) -> None:
        """Let invoices expire that nobody looks at."""
        while True:
            await asyncio.sleep(AGEING_INTERVAL)
            for provider in tuple(self.targets):
                self._store.all(provider)
