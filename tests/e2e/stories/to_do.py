"""What a shopkeeper ticks off: on the page of to-do lists, on a desktop and on a phone."""

from tests.e2e.installing import install
from tests.e2e.story import Outcome, Stage, Story


async def run(stage: Stage) -> Outcome:
    """Install the browser, then tick."""
    await install("browser")
    stage.step("Chromium and Playwright are installed")
    # Only now can it be imported.
    from tests.e2e.browser import to_do

    return await to_do.run(stage)


STORY = Story(name="to_do", title="what is paid is ticked off, in Chromium", run=run)
