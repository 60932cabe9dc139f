"""An answer and what is read from it, in Markdown that shows a stranger's text as it is."""

from homeassistant.core import HomeAssistant
from homeassistant.helpers.translation import async_get_translations

from ..const import DOMAIN
from ..providers.model import InvoiceStatus
from ..providers.preview import Preview, PreviewRow

_NOTHING = "-"


async def async_preview_texts(hass: HomeAssistant, preview: Preview | None) -> dict[str, str]:
    """Return what fills the gaps of the form: dashes before there is an answer."""
    if preview is None:
        return dict.fromkeys(("read", "answer", "there"), _NOTHING)
    states = await async_get_translations(hass, hass.config.language, "entity", {DOMAIN})
    rows = [_line(row, states) for row in preview.rows]
    return {
        "read": "\n".join(("| | | |", "|---|---|---|", *rows)) if rows else _NOTHING,
        "answer": f"```json\n{preview.answer}\n```",
        "there": ", ".join(map(_code, preview.there)) or _NOTHING,
    }


def _line(row: PreviewRow, states: dict[str, str]) -> str:
    """Return a line of the table: the path, what is there, and what that is read as."""
    found = _NOTHING if row.found is None else _code(row.found)
    match row.value:
        case None:
            value = _NOTHING
        case InvoiceStatus() as status:
            key = f"component.{DOMAIN}.entity.sensor.status.state.{status.value}"
            value = f"**{states.get(key, status.value)}**"
        case text:
            value = _code(text)
    return f"| {_code(row.path)} | {found} | {value} |"


def _code(text: str) -> str:
    """Return a text that is shown as it is, also in a table."""
    return f"`{text.replace('`', chr(39)).replace('|', chr(92) + '|')}`"
