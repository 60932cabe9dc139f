"""What those see who use the cards of a dashboard: at a till, in a list, on each kind of screen."""

from tests.e2e.installing import install
from tests.e2e.story import Outcome, Stage, Story


async def run(stage: Stage) -> Outcome:
    """Install the browser, then use the cards."""
    await install("browser")
    stage.step("Chromium and Playwright are installed")
    # Only now can it be imported.
    from tests.e2e.browser.cards import tour

    return await tour.run(stage)


STORY = Story(name="cards", title="a till and a list in a dashboard, in Chromium", run=run)
