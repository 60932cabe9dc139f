"""What is wrong with an address that a user typed, before anything is sent there."""

from yarl import URL

from ..networks import is_in_own_network


def normalize_address(text: str, *, allows_path: bool = False) -> str:
    """Return the address as it is stored and compared, one way of writing for each place."""
    typed = text.strip()
    address = typed.rstrip("/")
    if address_problem(address, allows_path=allows_path):
        return typed
    url = URL(address)
    return str(url.origin()) + url.raw_path.rstrip("/")


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
