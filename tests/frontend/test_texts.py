"""Every text that a card asks for exists, and every text that exists is asked for."""

import re

from custom_components.crypto_invoices.frontend.registration import CARDS
from tests.conftest import ENGLISH

SOURCE = "\n".join(path.read_text() for path in sorted(CARDS.glob("*.js")))
# What the code puts together: the beginning, with what is in its place as the rest.
PARTS = ("about", "field", "help", "name", "show")


def test_texts() -> None:
    """The cards and the texts agree."""
    texts = {key.removeprefix("card_") for key in ENGLISH["common"] if key.startswith("card_")}
    asked = set(re.findall(r'\b(?:this\.text|said)\("(\w+)"', SOURCE)) - set(PARTS)
    assert asked
    assert asked <= texts
    words = set(re.findall(r"\w+", SOURCE))
    for key in texts:
        beginning, _, rest = key.partition("_")
        if beginning in PARTS and key not in asked:
            assert f"{beginning}_${{" in SOURCE or f'"{beginning}"' in SOURCE, key
            assert rest in words, key
        else:
            assert key in words, key


def test_modules() -> None:
    """What is imported is in the folder, and nothing else is."""
    imported = set(re.findall(r'from "(.+?)"', SOURCE))
    assert imported == {f"./{path.name}" for path in CARDS.glob("*.js")} - {"./cards.js"}


def test_no_html() -> None:
    """No card makes HTML of a text."""
    assert not re.search("innerHTML|outerHTML|insertAdjacent|unsafe", SOURCE)
