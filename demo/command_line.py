"""Show the integration in a real Home Assistant, with invoices at a sandbox."""

import argparse
import asyncio
from collections.abc import AsyncGenerator, Collection, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
import fcntl
import os
from pathlib import Path
import shutil
import signal
import sys
from tempfile import TemporaryDirectory
from time import monotonic

from . import CHECKOUT, DemoError, automation, check, dashboard, pages, say, till
from .accounts import Account, add_account
from .client import Client
from .config_dir import PASSWORD, USER
from .home_assistant import RealHomeAssistant
from .sandbox import Sandbox
from .server import free_ports, require_free_port

FOLDER = CHECKOUT / ".demo"
PORT, SANDBOX_PORT = 8123, 8124

# With these a browser that is logged in stays so.
LOGINS = {
    f".storage/{name}" for name in ("auth", "auth_provider.homeassistant", "core.uuid", "http.auth")
}


@dataclass(frozen=True, slots=True)
class Demo:
    """Everything a running demo consists of."""

    sandbox: Sandbox
    hass: RealHomeAssistant
    client: Client
    accounts: Sequence[Account]


@asynccontextmanager
async def demo(folder: Path, hass_port: int, sandbox_port: int) -> AsyncGenerator[Demo]:
    """Start everything and set it up; stop it at the end."""
    require_free_port(hass_port, "--port")
    require_free_port(sandbox_port, "--sandbox-port")
    began = monotonic()
    async with (
        Sandbox(sandbox_port, folder / "sandbox.log") as sandbox,
        RealHomeAssistant(folder, hass_port, packages={"till": pages.till_package()}) as hass,
        Client.login(hass.url) as client,
    ):
        await client.ws.wait_until_started()
        say(f"Home Assistant has started ({monotonic() - began:.1f} s)")
        try:
            accounts = await set_up(client, sandbox)
        except DemoError as error:
            raise DemoError(str(error), *error.details, "", *hass.log_tail()) from error
        say(f"accounts, automation and dashboard are set up ({monotonic() - began:.1f} s)")
        yield Demo(sandbox, hass, client, accounts)


async def set_up(client: Client, sandbox: Sandbox) -> Sequence[Account]:
    """Add the accounts, the automation and the dashboard."""
    accounts = []
    for provider in await sandbox.providers():
        accounts.append(await add_account(client, provider, sandbox.url))
        say(f"{provider.name}: watching {len(provider.invoices)} invoices")
    await client.save_automation(automation.KEY, automation.paid_automation())
    await dashboard.show(client, accounts, f"{sandbox.url}/")
    return accounts


async def run(options: argparse.Namespace) -> None:
    """Show the demo until it is stopped."""
    with only_one(FOLDER):
        begin_anew(FOLDER, keep=() if options.fresh else LOGINS)
        say("starting the sandbox and Home Assistant")
        ports = options.port or PORT, options.sandbox_port or SANDBOX_PORT
        async with demo(FOLDER, *ports) as running:
            print(
                f"\n  Home Assistant  {running.hass.url}/   log in as {USER} / {PASSWORD}"
                f"\n  The sandbox     {running.sandbox.url}/   pay an invoice here"
                f"\n  The till        {running.hass.url}/{dashboard.PATH}/{dashboard.CARDS_PATH}   ask for money there"
                f"\n\n  A young invoice is looked up every half minute. Ctrl-C stops everything.\n",
                flush=True,
            )
            await until_one_ends(running)


async def until_one_ends(running: Demo) -> None:
    """Keep both running; Home Assistant may be restarted from its own page."""
    both = running.hass.run(), running.sandbox.until_it_ends_by_itself()
    tasks = [asyncio.create_task(one) for one in both]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()


async def run_check(options: argparse.Namespace) -> None:
    """Show that it works, without a person and beside a demo that may be running."""
    began = monotonic()
    free, free_too = free_ports(2)
    with TemporaryDirectory(prefix="crypto-invoices-demo-") as folder:
        ports = options.port or free, options.sandbox_port or free_too
        async with demo(Path(folder), *ports) as running:
            wrong = await pay_everywhere(running)
            if installed := running.hass.installed_while_starting():
                say(f"installed while starting, which takes time: {', '.join(installed)}")
            if wrong:
                raise DemoError("the check failed", *wrong, "", *running.hass.log_tail())
    say(f"all is right ({monotonic() - began:.1f} s)")


async def pay_everywhere(running: Demo) -> list[str]:
    """Pay an invoice at each provider, print what came of it and return what is wrong."""
    client = running.client
    # The page stays at "Loading…" where this one fails.
    await client.ws.command("get_services")
    try:
        states = await check.wait_for_invoices(client, running.accounts)
    except DemoError as error:
        return [str(error), *error.details]
    right, wrong = check.compare_amounts(states, running.accounts)
    number = sum(len(account.watched) for account in running.accounts)
    say(f"{number} invoices show the right status, {right} amounts of {right + len(wrong)} agree")
    outcomes = [
        await check.pay_one(client, running.sandbox, account, states)
        for account in running.accounts
    ]
    print(f"\n{check.table(outcomes)}\n", flush=True)
    wrong += [outcome.wrong for outcome in outcomes if outcome.wrong]
    wrong += await till.use(client, running.sandbox)
    return wrong + running.hass.complaints()


@contextmanager
def only_one(folder: Path) -> Generator[None]:
    """Hold the folder, so that no second demo writes to it."""
    folder.mkdir(exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise DemoError(
            f"a demo is running already in {folder.name}/", "Stop it first, with Ctrl-C."
        ) from None
    finally:
        os.close(handle)


def begin_anew(folder: Path, keep: Collection[str]) -> None:
    """Empty the folder: what it knows of invoices went with the last sandbox."""
    kept = {path: path.read_bytes() for name in keep if (path := folder / name).is_file()}
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    for path, content in kept.items():
        path.parent.mkdir(exist_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(content)


async def stoppable(options: argparse.Namespace) -> None:
    """Run, and end in order when told to stop."""
    task = asyncio.current_task()
    if task:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    await (run_check(options) if options.check else run(options))


def port(text: str) -> int:
    """Return a port as it was typed."""
    if text.isdecimal() and 0 < (number := int(text)) < 1 << 16:
        return number
    raise argparse.ArgumentTypeError(f"{text} is not a port: a number from 1 to 65535")


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="script/demo", description=__doc__)
    parser.add_argument("--check", action="store_true", help="pay everywhere, then end")
    parser.add_argument("--port", type=port, help=f"of Home Assistant ({PORT})")
    parser.add_argument("--sandbox-port", type=port, help=f"of the sandbox ({SANDBOX_PORT})")
    parser.add_argument("--fresh", action="store_true", help="forget logins too")
    options = parser.parse_args(arguments)
    try:
        asyncio.run(stoppable(options))
    except asyncio.CancelledError:
        say("stopped")
        return 130 if options.check else 0
    except DemoError as error:
        print(f"\nscript/demo: {error}", *error.details, sep="\n  ", file=sys.stderr)
        return 1
    return 0
