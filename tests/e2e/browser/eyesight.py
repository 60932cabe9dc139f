"""Try the eyes on a page with faults before they are trusted."""

from pathlib import Path

from playwright.async_api import Browser

from demo import DemoError

from .chromium import visitor
from .eyes import Eyes
from .words import Words

FAULTS = {
    "Too long for its box": "is cut off by div, to the side",
    "Too high for its box": "is cut off by div, above or below",
    "Beyond the edge": "is cut off by the screen",
    "Above another": "lies over 'Below another'",
    "Title component.crypto_invoices.title": "shows a raw component.",
    "Refused: ids_not_found": "shows a raw ids_not_found",
    "Nothing was put in for {provider}": "shows a raw {provider}",
    "This field is empty.": "is not in the language xx",
}
PAGE = """
<div style="width: 50px; overflow: hidden; white-space: nowrap">Too long for its box</div>
<div style="height: 8px; overflow: hidden">Too high for its box</div>
<div style="position: absolute; top: 300px; left: -40px">Beyond the edge</div>
<div style="position: absolute; top: 400px; left: 40px">Above another</div>
<div style="position: absolute; top: 405px; left: 45px">Below another</div>
<p>Title component.crypto_invoices.title</p>
<p>Refused: ids_not_found</p>
<p>Nothing was put in for {provider}</p>
<p>This field is empty.</p>
<p>In the middle</p>
<div style="height: 40px; overflow: auto"><p style="margin-top: 100px">Far down</p></div>
<p><code>callback_url</code></p>
<p hidden>hidden_and_raw</p>
"""


async def try_eyes(browser: Browser, folder: Path) -> None:
    """Raise an error if the eyes miss a fault, or see one where there is none."""
    foreign = Words("en")
    foreign.language, foreign.ours = "xx", {}
    eyes = Eyes(folder, foreign, Words("en"))
    async with visitor(browser, folder, "en", ()) as page:
        await page.set_content(PAGE)
        await eyes.look(page.locator("body"), "faults")
    expected = {
        f"faults-{screen}: {text!r} {fault}"
        for screen in ("desktop", "phone")
        for text, fault in FAULTS.items()
    }
    seen = set(eyes.wrong) - {each for each in eyes.wrong if "lies over 'Above another'" in each}
    if seen != expected:
        raise DemoError("the eyes can't be trusted", *sorted(seen ^ expected))
