"""Other machines: a real broker hears each payment, and a real PostgreSQL keeps the sums."""

from tests.e2e.installing import install
from tests.e2e.story import Outcome, Stage, Story


async def run(stage: Stage) -> Outcome:
    """Get the broker, the database and what talks to them, then let them fail."""
    await install("outside")
    # Only now can it be imported.
    from tests.e2e import outside

    return await outside.run(stage)


STORY = Story(name="outside", title="a broker and a database that are away at times", run=run)
