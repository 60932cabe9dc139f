"""Lists that come in pages: how far they are turned."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from custom_components.crypto_invoices.providers.model import (
    BadResponse,
    Invoice,
    InvoiceStatus,
    ListIncomplete,
    ProviderError,
)
from custom_components.crypto_invoices.providers.pages import MOST_PAGES, Page, each_once

SINCE = datetime(2026, 11, 1, 12, tzinfo=UTC)


def row(id_: str, age: int) -> Invoice:
    """Return an invoice that was made so many minutes after the list begins, or before."""
    return Invoice(
        id=id_,
        status=InvoiceStatus.PENDING,
        provider_status="new",
        created_at=SINCE + timedelta(minutes=age),
    )


async def listed(
    rows: Sequence[Invoice], size: int, change: Callable[[int], object] = lambda _: None
) -> tuple[list[str], int]:
    """Return what a list yields, and how many pages that took; it may change after each."""
    pages = 0

    async def read(offset: int, size: int) -> Page:
        nonlocal pages
        pages += 1
        page, total = rows[offset : offset + size], len(rows)
        change(pages)
        return Page(len(page), {one.id: one for one in page}, total)

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


@pytest.mark.parametrize("is_newest_first", [True, False])
@pytest.mark.parametrize("gone", [1, 3, 12, 25])
async def test_rows_that_go_between_two_pages(gone: int, *, is_newest_first: bool) -> None:
    """Where rows are deleted, those after them move up: none is missed."""
    rows = [row(f"{number}", number) for number in range(60)]
    if is_newest_first:
        rows.reverse()
    removed: set[str] = set()

    def remove(pages: int) -> None:
        if pages == 3:
            removed.update(one.id for one in rows[2 : 2 + gone])
            del rows[2 : 2 + gone]

    found, pages = await listed(rows, 10, remove)
    assert set(found) | removed == {f"{number}" for number in range(60)}
    assert len(found) == len(set(found))
    assert pages <= 11


async def test_unreadable_row_where_two_pages_meet() -> None:
    """A row that can't be told again costs a page, and the list comes to its end."""

    async def read(offset: int, size: int) -> Page:
        asked.append(offset)
        page = [row(f"{number}", -number) for number in range(offset, min(offset + size, 50))]
        found = {one.id: one for one in page if int(one.id) % 9}
        return Page(len(page), found, 50)

    asked: list[int] = []
    since = SINCE - timedelta(days=1)
    found = [one.id async for one in each_once(read, since=since, order_id=None, size=10)]
    assert found == [f"{number}" for number in range(50) if number % 9]
    assert len(asked) < 15


async def test_list_that_is_not_whole() -> None:
    """A row that can't be read is reported after all that can, unless another page had it."""

    async def read(offset: int, size: int) -> Page:
        page = [row(f"{number}", -number) for number in range(offset, offset + size)]
        spoiled = {id_ for id_ in spoiled_on if spoiled_on[id_] in (None, offset)}
        found: dict[str, Invoice | ProviderError] = {
            one.id: BadResponse("spoiled") if one.id in spoiled else one for one in page
        }
        return Page(len(page), found, 100 * MOST_PAGES)

    async def collect(rows: set[str], since: datetime) -> None:
        async for one in each_once(read, since=since, order_id=None, size=10):
            rows |= {one.id}

    day = SINCE - timedelta(minutes=30)
    spoiled_on: dict[str, int | None] = {"9": 0}
    found: set[str] = set()
    await collect(found, day)
    assert found == {f"{number}" for number in range(31)}
    spoiled_on = {"5": None}
    found = set()
    with pytest.raises(ListIncomplete):
        await collect(found, day)
    assert found == {f"{number}" for number in range(31) if number != 5}
    spoiled_on = {}
    with pytest.raises(ListIncomplete):
        await collect(set(), SINCE - timedelta(days=999))


async def test_oldest_first_is_read_from_its_end() -> None:
    """Where the oldest come first, the new ones are at the end, and the rest isn't asked for."""
    rows = [row(f"{number}", number - 1000) for number in range(1003)]
    found, pages = await listed(rows, 10)
    assert found == ["1000", "1001", "1002"]
    assert pages == 3
    rows = [row(f"{number}", number - 30) for number in range(80)]
    found, pages = await listed(rows, 10, lambda _: rows.append(row(f"{len(rows)}", len(rows))))
    assert {f"{number}" for number in range(30, 80)} <= set(found)
    assert pages <= 8


async def test_no_order_at_all() -> None:
    """Where nothing is in order, all of it is read."""
    rows = [row(f"{number}", number * 37 % 100 - 50) for number in range(100)]
    found, _ = await listed(rows, 10)
    assert set(found) == {one.id for one in rows if one.created_at and one.created_at >= SINCE}
    rows = [row(f"{number}", number) for number in range(-50, -30)]
    rows += [row(f"{number}", number * 37 % 100) for number in range(80)]
    assert set((await listed(rows, 10))[0]) == {f"{number}" for number in range(80)}


async def test_newest_first_but_for_a_few_seconds() -> None:
    """What it is sorted by may be a little off what is told: it ends all the same."""
    rows = [row("new", 1), *(row(f"{number}", -number) for number in range(1, 200))]
    for at in (3, 17, 18, 30):
        created_at = rows[at - 1].created_at
        assert created_at
        rows[at] = replace(rows[at], created_at=created_at + timedelta(seconds=4))
    assert await listed(rows, 10) == (["new"], 2)
