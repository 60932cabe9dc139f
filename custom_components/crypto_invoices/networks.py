"""Whether an address is one in the user's own network."""

from ipaddress import ip_address

from homeassistant.util.network import is_local
from yarl import URL

# Names that only a local network resolves.
_LOCAL_SUFFIXES = (".home.arpa", ".internal", ".lan", ".local", ".localdomain", ".localhost")


def is_in_own_network(address: str) -> bool:
    """Whether a server at this address is one in the user's own network."""
    host = URL(address).host or ""
    try:
        return is_local(ip_address(host))
    except ValueError:
        return "." not in host or host.endswith(_LOCAL_SUFFIXES)
