"""A real Home Assistant with the integration in it, watching the sandbox's invoices."""

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
DOMAIN = "crypto_invoices"
HOST = "127.0.0.1"


class DemoError(Exception):
    """Something a person has to know about, with lines of detail below it."""

    def __init__(self, message: str, *details: str) -> None:
        """Keep the details beside the message."""
        super().__init__(message)
        self.details = details


def say(message: str) -> None:
    """Print one step of progress."""
    print(f"==> {message}", flush=True)
