"""The floor: aiohttp and orjson making the same requests, and nothing else."""

import asyncio
from collections.abc import Iterable, Iterator
from itertools import batched
import time
from typing import Any

from aiohttp import ClientSession
import orjson

from custom_components.crypto_invoices.providers.egates.signing import SIGNINGS, sign


async def _at_once(requests: Iterator[Any], concurrency: int) -> None:
    """Make requests, so many at a time."""

    async def make() -> None:
        for request in requests:
            async with request as response:
                orjson.loads(await response.read())

    await asyncio.gather(*(make() for _ in range(concurrency)))


async def read_cryptocloud(
    session: ClientSession, url: str, key: str, invoice_ids: Iterable[str], concurrency: int
) -> None:
    """Read invoices, a hundred at once."""
    headers = {"Authorization": f"Token {key}", "Content-Type": "application/json"}
    await _at_once(
        (
            session.post(
                f"{url}/v2/invoice/merchant/info",
                data=orjson.dumps({"uuids": batch}),
                headers=headers,
            )
            for batch in batched(invoice_ids, 100, strict=False)
        ),
        concurrency,
    )


async def read_egates(
    session: ClientSession,
    url: str,
    credentials: dict[str, str],
    invoice_ids: Iterable[str],
    concurrency: int,
) -> None:
    """Read invoices one by one, signed as the sandbox wants it."""
    way = next(iter(SIGNINGS))
    await _at_once(
        (
            session.get(
                f"{url}/api/external/v1/gateway/payment-invoice/{id_}",
                headers={
                    "API-KEY": credentials["api_key"],
                    "SIGNATURE": sign(
                        credentials["api_secret"], SIGNINGS[way](id_, str(int(time.time())))
                    ),
                },
            )
            for id_ in invoice_ids
        ),
        concurrency,
    )
