"""What a user sees: the set-up, devices and automations, clicked through in a browser."""

from tests.e2e.installing import install
from tests.e2e.story import Outcome, Stage, Story


async def run(stage: Stage) -> Outcome:
    """Install the browser, then click through everything."""
    await install("browser")
    stage.step("Chromium and Playwright are installed")
    # Only now can it be imported.
    from tests.e2e.browser import tour

    return await tour.run(stage)


STORY = Story(name="browser", title="what a user clicks through, in Chromium", run=run)
