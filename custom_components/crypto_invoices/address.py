"""What is wrong with an address that a user typed, before anything is sent there."""

from ipaddress import ip_address

from homeassistant.util.network import is_local
from yarl import URL

# Names that only a local network resolves.
_LOCAL_SUFFIXES = (".home.arpa", ".internal", ".lan", ".local", ".localdomain", ".localhost")


def normalize_address(text: str) -> str:
    """Return the address as it is stored and compared, one way of writing for each place."""
    typed = text.strip()
    address = typed.rstrip("/")
    return typed if address_problem(address) else str(URL(address).origin())


def address_problem(address: str) -> str | None:
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
    if url.path not in ("", "/") or url.query_string or url.fragment:
        return "url_with_path"
    return None


def is_exposed(address: str) -> bool:
    """Whether keys sent there would cross the internet for everyone on the way to read."""
    url = URL(address)
    host = url.host or ""
    if url.scheme == "https":
        return False
    try:
        return not is_local(ip_address(host))
    except ValueError:
        return "." in host and not host.endswith(_LOCAL_SUFFIXES)
