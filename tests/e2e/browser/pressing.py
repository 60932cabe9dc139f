"""Press like a person, who presses again where nothing came of it."""

from collections.abc import Awaitable, Callable
from typing import Literal

from playwright.async_api import Locator, TimeoutError as PlaywrightTimeoutError

# In milliseconds: what comes of it is there by then, or the press was lost.
_COMES_WITHIN = 5000


async def press_until(
    press: Callable[[], Awaitable[None]],
    what: Locator,
    state: Literal["visible", "hidden"] = "visible",
) -> None:
    """Press until something is shown or hidden: what is drawn anew takes the press along with it."""
    await press()
    try:
        await what.wait_for(state=state, timeout=_COMES_WITHIN)
    except PlaywrightTimeoutError:
        await press()
        await what.wait_for(state=state)
