"""The pages that docs/dashboards.md shows, as they stand there."""

from collections.abc import Iterable
import re
from typing import cast

from homeassistant.util.yaml import parse_yaml

from . import CHECKOUT
from .websocket import Json

_PAGE = CHECKOUT / "docs" / "dashboards.md"
_BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _block(key: str) -> str:
    """Return the block of YAML that begins with a key."""
    blocks = (found[1] for found in _BLOCK.finditer(_PAGE.read_text()))
    return next(text for text in blocks if text.startswith(key))


def _view(title: str) -> Json:
    """Return the view with a title."""
    return cast(Json, parse_yaml(_block(f"title: {title}")))


def till_package() -> str:
    """Return what the till needs of helpers, scripts and automations, in YAML."""
    return _block("input_number:")


def till_view() -> Json:
    """Return the view of the till."""
    return _view("Till")


def overview_view(accounts: Iterable[str]) -> Json:
    """Return the view of what is open, and of what happened to the devices of accounts."""
    view = _view("Invoices")
    view["sections"][-1]["cards"][-1]["target"]["device_id"] = list(accounts)
    return view
