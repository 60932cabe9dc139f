"""Pushes from the providers to Home Assistant: lost, doubled, late, out of order."""

from collections.abc import Callable, Iterator, Set as AbstractSet
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import Any

from aiohttp import web
import orjson
from yarl import URL

from sandbox.btcpay_access import WEBHOOKS
from sandbox.btcpay_webhooks import DELAYS, Webhook, _again, sign, write
from sandbox.core import SANDBOX, Sandbox
from sandbox.letter import Draft, Letter, Signature
from sandbox.provider import Provider
from sandbox.store import Change

from .chance import Chance
from .log import Log

type Later = Callable[[float, Callable[[], None]], None]
"""Has something done in so many seconds, whatever becomes of Home Assistant."""

_LOST, _DOUBLED, _LATE = 0.08, 0.08, 0.12


@dataclass(frozen=True, slots=True)
class Push:
    """What is posted to a webhook."""

    webhook_id: str
    letter: Letter


type Post = Callable[[Push, Callable[[int], None]], None]
"""Posts a push, and passes on the status of its answer: 0 where there is none."""


class Mail:
    """Sends what the sandbox's providers have to say."""

    def __init__(
        self,
        app: web.Application,
        chance: Chance,
        pushing: AbstractSet[str],
        later: Later,
        post: Post,
        log: Log,
    ) -> None:
        """Have nobody to post to yet; only those who are ``pushing`` reach anybody."""
        self._pushing = pushing
        self._sandbox: Sandbox = app[SANDBOX]
        self._webhooks = app[WEBHOOKS]
        self._dice = chance.of("mail")
        self._later = later
        self._post = post
        self._log = log
        self.webhook_ids: dict[str, str] = {}
        """Where each provider posts to that is told by hand."""
        self._sandbox.store.subscribe(self._changed)

    def _changed(self, change: Change) -> None:
        """Post about a change, where its provider does."""
        invoice = change.invoice
        provider = self._sandbox.providers[invoice.provider]
        if invoice.provider == "btcpay":
            self._empty_box()
        elif (
            invoice.provider in self.webhook_ids
            and change.before is not None
            and change.before is not change.after
            and change.after in provider.postback.sent_on
        ):
            self.send(provider, change, Signature.GOOD)

    def send(self, provider: Provider, change: Change, signature: Signature) -> None:
        """Post about a change in a provider's own way."""
        draft = Draft(
            invoice=replace(change.invoice),
            format=provider.postback.formats[0],
            signature=signature,
            secrets={**provider.credentials, **provider.push_credentials},
            settings=self._sandbox.settings[provider.key],
            origin="http://127.0.0.1:8124",
            now=self._sandbox.store.clock(),
        )
        letter = provider.postback.write(draft)
        webhook_id = self.webhook_ids[provider.key]
        for delay in self._ways(provider.key):
            self._later(delay, lambda: self._send_once(provider.key, Push(webhook_id, letter)))

    def _ways(self, provider: str) -> Iterator[float]:
        """Yield when a push comes: once, or late, twice or never."""
        luck = self._dice.random()
        delay = self._dice.uniform(0.1, 3)
        if luck < _LOST or provider not in self._pushing:
            return
        if luck < _LOST + _LATE:
            delay = self._dice.uniform(5, 3600)
        yield delay
        if luck > 1 - _DOUBLED:
            yield delay + self._dice.choice((0.0, 0.2, 30.0, 4000.0))

    def _send_once(self, provider: str, push: Push) -> None:
        """Post, and don't look back."""
        self._log.write(f"{provider} pushes")
        self._post(push, lambda _: None)

    def _empty_box(self) -> None:
        """Send what BTCPay Server has to say, each webhook's in turn."""
        for hook in self._webhooks.all.values():
            while hook.waiting:
                fields = hook.waiting.popleft()
                for delay in self._ways("btcpay"):
                    self._later(delay, partial(self._try, hook, fields, 0))

    def _try(self, hook: Webhook, fields: dict[str, Any], attempt: int) -> None:
        """Deliver, again later if nobody is there: as the server does."""
        if not hook.wants(fields["type"]):
            return
        body = write(fields)
        headers = {"Content-Type": "application/json", "BTCPay-Sig": sign(hook.secret, body)}
        self._log.write(f"btcpay delivers {fields['type']}")
        delays = DELAYS["documented"]

        def answered(status: int) -> None:
            if (status >= HTTPStatus.MULTIPLE_CHOICES or not status) and attempt < len(delays):
                again = _again(orjson.loads(body))
                self._later(delays[attempt], lambda: self._try(hook, again, attempt + 1))

        self._post(Push(URL(hook.url).name, Letter(body, headers)), answered)
