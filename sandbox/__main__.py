"""Run the sandbox: `python -m sandbox`."""

import argparse
import asyncio
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
import os
import signal
import sys

from aiohttp import web

from .app import create_app
from .core import SANDBOX
from .states import Action
from .store import Store
from .wire import is_loopback

DEMO = (
    ("cryptocloud", "24.90", "USD", "Coffee beans, 2 kg", None),
    ("cryptocloud", "129.00", "EUR", "Bicycle service", Action.CHOOSE_COIN),
    ("cryptocloud", "8.50", "USD", "Tip jar", Action.PAY),
    ("cryptocloud_v1", "49.00", "USD", "Guitar lesson", None),
    ("cryptocloud_v1", "12.00", "USD", "Sheet music", Action.PARTLY_PAY),
    ("egates", "100", "USDT", "Holiday flat, deposit", None),
    ("egates", "0.015", "ETH", "Game server, May", None),
    ("btcpay", "18.50", "EUR", "Honey, 3 jars", None),
    ("btcpay", "0.00042", "BTC", "Node workshop", None),
    ("lnbits", "2100", "sat", "Coffee at the meetup", None),
    ("lnbits", "4.25", "EUR", "Sticker set", Action.PAY),
)


def add_demo_invoices(store: Store) -> None:
    """Make a few invoices worth looking at."""
    for provider, amount, currency, order_id, action in DEMO:
        invoice = store.create(
            provider,
            amount=Decimal(amount),
            currency=currency,
            order_id=order_id,
            expires_in=timedelta(days=1),
        )
        if action:
            store.act(provider, invoice.id, action)


def loopback(host: str) -> str:
    """Return the host if only this machine can reach it."""
    if is_loopback(host):
        return host
    raise argparse.ArgumentTypeError(f"{host} is not a loopback address, such as 127.0.0.1")


def port_number(text: str) -> int:
    """Return the port if there is such a port."""
    if text.isascii() and text.isdigit() and int(text) <= 65_535:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text} is not a port, a number up to 65535")


async def serve(host: str, port: int, *, demo_invoices: bool) -> int:
    """Serve until told to stop."""
    app = create_app()
    if demo_invoices:
        add_demo_invoices(app[SANDBOX].store)
        # Who scans a code in the demo shall land here.
        app[SANDBOX].set("cryptocloud", "link", "sent")
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        address = f"[{host}]" if ":" in host else host
        sys.stdout.write(f"The sandbox is at http://{address}:{runner.addresses[0][1]}/\n")
        sys.stdout.flush()
        await stop.wait()
    except OSError as error:
        sys.stderr.write(f"Cannot listen on {host} port {port}: {os.strerror(error.errno or 0)}\n")
        return 1
    finally:
        await runner.cleanup()
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line, and serve."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("--port", type=port_number, default=8124)
    parser.add_argument("--host", type=loopback, default="127.0.0.1")
    parser.add_argument("--with-demo-invoices", action="store_true")
    options = parser.parse_args(arguments)
    return asyncio.run(serve(options.host, options.port, demo_invoices=options.with_demo_invoices))


if __name__ == "__main__":
    sys.exit(main())
