"""What another machine heard and what a database kept, beside what was paid."""

from decimal import Decimal
import re
from typing import TYPE_CHECKING

from demo import CHECKOUT
from demo.client import Client

from .story import Figure
from .subscriber import Subscriber
from .world import until

if TYPE_CHECKING:
    from .outside import Account, Shop


async def compare_sums(shop: Shop) -> tuple[list[Figure], list[str]]:
    """Compare the statistics of all hours, through all restarts, with what was paid."""
    await shop.running.hass.start()
    figures, wrong = [Figure("hours", shop.hours)], []
    async with Client.login(shop.running.hass.url) as client:
        await client.ws.wait_until_started()
        for provider, account in shop.accounts.items():
            hours = await _hours(client, account, shop.hours)
            changes = sum((_money(hour["change"]) for hour in hours), Decimal(0))
            sums = [_money(hour["sum"]) for hour in hours]
            told = await _documented_sum(shop, account)
            right = len(hours) >= shop.hours and sums == sorted(sums)
            right = right and changes == told == sums[-1] == account.paid
            figures.append(Figure(f"sums are right at {provider}", int(right), must_be=1))
            if not right:
                wrong.append(f"{provider}: {account.paid} paid; {changes}, {told}; {hours}")
    return figures, wrong


async def _hours(client: Client, account: Account, number: int) -> list[dict[str, float]]:
    """Return an account's long-term statistics, as soon as they are there."""
    found: list[dict[str, float]] = []

    async def are_there() -> bool:
        answer = await client.ws.command(
            "recorder/statistics_during_period",
            start_time="2020-01-01T00:00:00Z",
            period="hour",
            statistic_ids=[account.sensor],
            types=["change", "state", "sum"],
        )
        found[:] = answer.get(account.sensor, [])
        return len(found) >= number

    await until(are_there)
    return found


async def _documented_sum(shop: Shop, account: Account) -> Decimal:
    """Return what the query in the documentation adds up to."""
    page = (CHECKOUT / "docs/outside.md").read_text()
    [query] = re.findall(r"^```sql\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    query = re.sub(r"'sensor\.\w+'", f"'{account.sensor}'", query)
    rows = (await shop.database.query(query)).splitlines()
    return sum((_money(row.split("|")[1]) for row in rows), Decimal(0))


def _money(number: float | str) -> Decimal:
    """Return a number of the database, which has no exact ones, in cents."""
    return Decimal(str(number)).quantize(Decimal("0.01"))


async def all_heard(machine: Subscriber, number: int) -> bool:
    """Return whether it heard of so many payments."""
    return len({heard.topic for heard in machine.heard}) >= number


def compare_messages(shop: Shop, machine: Subscriber, late: Subscriber) -> list[Figure]:
    """Compare what was heard with what was paid."""
    announcements: dict[str, set[str]] = {}
    untrue = 0
    for heard in machine.heard:
        said = heard.announcement
        announcements.setdefault(said["invoice_id"], set()).add(said["announcement_id"])
        invoice = shop.paid.get(said["invoice_id"])
        untrue += (
            invoice is None
            or not heard.topic.endswith(said["announcement_id"])
            or (said["status"], _money(said["amount"])) != ("paid", invoice.amount)
        )
    first = {heard.topic: heard.payload for heard in reversed(machine.heard)}
    return [
        Figure("paid", len(shop.paid)),
        Figure("heard", len(announcements), must_be=len(shop.paid)),
        Figure("lost", len(shop.paid.keys() - announcements.keys()), must_be=0),
        Figure("with another ID", sum(len(ids) > 1 for ids in announcements.values()), must_be=0),
        Figure("untrue", untrue, must_be=0),
        Figure("repeated with the same ID", len(machine.heard) - len(first)),
        Figure(
            "repeated with another text",
            sum(heard.payload != first[heard.topic] for heard in machine.heard),
            must_be=0,
        ),
        Figure("retained for who comes later", len(late.heard), must_be=len(shop.paid)),
    ]
