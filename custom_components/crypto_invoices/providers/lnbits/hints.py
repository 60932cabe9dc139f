"""What an LNbits server announces of a wallet: on a connection, and by a webhook."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

from aiohttp import (
    ClientConnectorCertificateError,
    ClientError,
    ClientHandlerType,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientWebSocketResponse,
    ClientWSTimeout,
    WSMessage,
    WSMsgType,
    WSServerHandshakeError,
)
import orjson

from ..http import REQUEST_TIMEOUT
from ..model import ProviderUnavailable, UnavailableReason
from ..push import Hint, PushRejected, RejectReason, parse_body
from .wallet import LNbitsWallet

HEARTBEAT = 30.0
LARGEST_MESSAGE = 256 * 1024

_CONNECT_TIMEOUT = ClientWSTimeout(ws_close=5)


async def _refuse_redirect(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Follow no redirect, as the key is in the path."""
    response = await handler(request)
    if 300 <= response.status < 400:
        response.close()
        raise WSServerHandshakeError(response.request_info, (), status=response.status)
    return response


class LNbitsHints(LNbitsWallet):
    """A wallet that announces its payments."""

    async def async_stream(self) -> AsyncIterator[Hint]:
        """Yield a hint for each payment of the wallet, the first once it is connected.

        Whoever knows the key can send what they like there, and nothing is sent
        again later: a message is a hint and no more. Raises ProviderUnavailable
        when the connection ends.
        """
        await self.budget.async_spend()
        trouble, detail = UnavailableReason.CANNOT_CONNECT, "the connection ended"
        try:
            async with (
                self._session_of_its_own() as session,
                await self._async_connect(session) as socket,
            ):
                yield Hint(invoice_ids=frozenset())
                async for message in socket:
                    if id_ := self._named_in(message):
                        yield Hint(invoice_ids=frozenset({id_}), is_verified=False)
        except TimeoutError:
            trouble, detail = UnavailableReason.TIMEOUT, ""
        except ClientConnectorCertificateError:
            trouble, detail = UnavailableReason.CERTIFICATE, ""
        except WSServerHandshakeError as err:
            detail = f"HTTP {err.status}"
        except (ClientError, OSError, ValueError) as err:
            detail = type(err).__name__
        # Not from those errors: they contain the address, and the key is in it.
        raise ProviderUnavailable(trouble, detail)

    def _session_of_its_own(self) -> ClientSession:
        """Return a session that follows no redirect, on the connections of the account's."""
        shared = self.http.session
        return ClientSession(
            connector=shared.connector,
            connector_owner=False,
            headers=shared.headers,
            middlewares=(_refuse_redirect,),
        )

    async def _async_connect(self, session: ClientSession) -> ClientWebSocketResponse:
        """Open the connection on which the server reports the wallet's payments."""
        async with asyncio.timeout(REQUEST_TIMEOUT.total):
            return await session.ws_connect(
                f"{self.http.url}/api/v1/ws/{quote(self._settings['api_key'], safe='')}",
                heartbeat=HEARTBEAT,
                max_msg_size=LARGEST_MESSAGE,
                timeout=_CONNECT_TIMEOUT,
            )

    def _named_in(self, message: WSMessage) -> str | None:
        """Return the payment hash in a message, or None where it is none of a payment."""
        if message.type is not WSMsgType.TEXT:
            return None
        try:
            payload = orjson.loads(message.data)
        except ValueError:
            return None
        payment = payload.get("payment") if isinstance(payload, dict) else None
        return self._hash_in(payment) if isinstance(payment, dict) else None

    def _hash_in(self, payment: Mapping[str, Any]) -> str | None:
        """Return the payment hash of a payment that somebody reported, or None."""
        id_ = payment.get("payment_hash")
        return self.parse_invoice_id(id_) if isinstance(id_, str) else None

    @property
    def accepts_push(self) -> bool:
        """Whether what is needed to believe a push is known: nothing is, and nothing is believed."""
        return True

    def parse_push(self, headers: Mapping[str, str], body: bytes) -> Hint:
        """Return the hint in what LNbits posts to an invoice's ``webhook``.

        Nothing signs it. Releases since April 2025 post a text that holds the JSON, older
        ones the JSON itself.
        """
        fields = parse_body(body)
        # What a wallet pays to another of the same server has a prefix there.
        checking_id = str(fields.get("checking_id")).removeprefix("internal_")
        if (id_ := self._hash_in(fields) or self.parse_invoice_id(checking_id)) is None:
            raise PushRejected(RejectReason.MALFORMED, "no invoice is named")
        return Hint(invoice_ids=frozenset({id_}), is_verified=False)
