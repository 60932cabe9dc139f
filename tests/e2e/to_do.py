"""The to-do lists of what is to be fulfilled, as a user sees them."""

from contextlib import suppress

from demo import DOMAIN, DemoError
from demo.client import Client, Flow


async def switch_on(client: Client, entry_id: str) -> None:
    """Switch the option on, as its dialog does."""
    path = "/api/config/config_entries/options/flow"
    flow = await Flow.start(client, path, entry_id)
    needed = {
        field["name"]: field["default"]
        for field in flow.expect("form", "init").result["data_schema"]
        if field.get("required")
    }
    await flow.submit(**needed, to_fulfill=True)
    flow.expect("create_entry")


async def items(client: Client) -> tuple[set[str], set[str]]:
    """Return the invoices that the lists show as owed, and as fulfilled."""
    found: dict[str, set[str]] = {"needs_action": set(), "completed": set()}
    for entity in await client.registered_entities(DOMAIN):
        if entity["entity_id"].startswith("todo."):
            answer = await client.call(
                "todo.get_items",
                {"entity_id": entity["entity_id"], "status": list(found)},
                answers=True,
            )
            for item in answer[entity["entity_id"]]["items"]:
                found[item["status"]].add(item["uid"])
    return found["needs_action"], found["completed"]


async def read_open(client: Client) -> None:
    """Have the open invoices read."""
    for entry in await client.config_entries(DOMAIN):
        with suppress(DemoError):
            await client.call(f"{DOMAIN}.refresh", {"config_entry_id": entry["entry_id"]})
