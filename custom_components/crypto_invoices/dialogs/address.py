"""What is wrong with an address that a user typed, before anything is sent there."""

from collections.abc import Container
import re

from yarl import URL

from ..networks import is_in_own_network

# A name with a dot or a port: anything else might be a key in the wrong field.
_WITHOUT_SCHEME = re.compile(
    r"(?://)?((?:localhost|[^\s/@:]*[.:\[][^\s/@]*)(?:[/?#].*)?)", re.IGNORECASE
)


def normalize_address(text: str, *, allows_path: bool = False, pages: Container[str] = ()) -> str:
    """Return the address as it is stored and compared, one way of writing for each place.

    What leads to one of the server's own ``pages`` leads to the server; what stands behind
    a ``?`` is never part of an address, and may be a secret.
    """
    typed = text.strip()
    address = _with_scheme(typed).partition("#")[0].partition("?")[0].rstrip("/")
    try:
        url = URL(address)
        parts = url.raw_path.strip("/").split("/") if url.host else []
    except ValueError:
        return typed
    for at, part in enumerate(parts):
        if part.lower() in pages:
            address = "/".join((str(url.origin()), *parts[:at]))
            break
    if address_problem(address, allows_path=allows_path):
        return typed
    url = URL(address)
    return str(url.origin()) + url.raw_path.rstrip("/")


def _with_scheme(typed: str) -> str:
    """Return an address as a browser completes it; in one's own network, few are encrypted."""
    if "://" in typed or not (match := _WITHOUT_SCHEME.fullmatch(typed)):
        return typed
    try:
        is_own = is_in_own_network(f"http://{match[1]}")
    except ValueError:
        return typed
    return f"{'http' if is_own else 'https'}://{match[1]}"


def normalize_gapped(text: str) -> str:
    """Return the address of one invoice, with a gap for its ID, as it is stored and compared."""
    address = _with_scheme(text.strip()).partition("#")[0]
    scheme, mark, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}{mark}{host.lower()}{slash}{path}"


def gapped_address_problem(address: str, gap: str) -> str | None:
    """Return the translation key of what is wrong with the address of one invoice, or None."""
    host, _, path = address.partition("://")[2].partition("/")
    if any(sign.isspace() or sign in '\\<>"' for sign in path) or ".." in path.split("/"):
        return "url_invalid"
    if "@" in host:
        return "url_with_key"
    if gap in host:
        return "url_id_in_host"
    if (problem := address_problem(address.partition("?")[0], allows_path=True)) is not None:
        return problem
    rest = path.replace(gap, "")
    if "{" in rest or "}" in rest or gap not in path:
        return "url_without_id"
    return None


def address_problem(address: str, *, allows_path: bool = False) -> str | None:
    """Return the translation key of what is wrong with an address, or None."""
    if "://" not in address:
        return "url_without_scheme"
    try:
        url = URL(address)
        has_host = bool(url.host) and url.port is not None
    except ValueError:
        return "url_invalid"
    if url.scheme not in ("http", "https"):
        return "url_without_scheme"
    if not has_host or url.user or url.password or any(char.isspace() for char in address):
        return "url_invalid"
    if url.host and url.host.lower().endswith(".onion"):
        return "url_onion"
    has_path = url.path not in ("", "/") and not allows_path
    return "url_with_path" if has_path or url.query_string or url.fragment else None


def is_exposed(address: str) -> bool:
    """Whether keys sent there would cross the internet for everyone on the way to read."""
    return URL(address).scheme != "https" and not is_in_own_network(address)
