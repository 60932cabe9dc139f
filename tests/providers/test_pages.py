"""Lists that come in pages: how far they are turned."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from custom_components.crypto_invoices.providers.model import Invoice, InvoiceStatus
from custom_components.crypto_invoices.providers.pages import Page, each_once

SINCE = datetime(2026, 11, 1, 12, tzinfo=UTC)


def row(id_: str, age: int) -> Invoice:
    """Return an invoice that was made so many minutes after the list begins, or before."""
    return Invoice(
        id=id_,
        status=InvoiceStatus.PENDING,
        provider_status="new",
        created_at=SINCE + timedelta(minutes=age),
    )


async def listed(rows: Sequence[Invoice], size: int) -> tuple[list[str], int]:
    """Return what a list yields, and how many pages that took."""
    pages = 0

    async def read(offset: int, size: int) -> Page:
        nonlocal pages
        pages += 1
        page = rows[offset : offset + size]
        return Page(len(page), {one.id: one for one in page}, len(rows))

    found = [one.id async for one in each_once(read, since=SINCE, order_id=None, size=size)]
    return found, pages


@pytest.mark.parametrize("size", [1, 2])
async def test_first_page_says_nothing_of_the_order(size: int) -> None:
    """Old invoices of one second, or a single one, may come first because the oldest do."""
    found, _ = await listed([row("a", -9), row("b", -9), row("c", -5), row("d", 1)], size)
    assert found == ["d"]


async def test_newest_first_ends_where_all_is_older() -> None:
    """What was made long ago isn't asked for, where the newest come first."""
    rows = [row("new", 1), *(row(f"{number}", -number) for number in range(1, 100))]
    assert await listed(rows, 10) == (["new"], 2)
