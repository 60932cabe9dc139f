"""A server in a process, and in a process group, of its own."""

import asyncio
from asyncio.subprocess import DEVNULL, STDOUT, Process
from contextlib import ExitStack, suppress
import os
from pathlib import Path
import signal
import socket
from time import monotonic
from typing import Self

import aiohttp

from . import CHECKOUT, HOST, DemoError

TAIL = 25


def free_ports(count: int) -> list[int]:
    """Return ports nobody listens on, chosen by the system."""
    with ExitStack() as probes:
        sockets = [probes.enter_context(socket.socket()) for _ in range(count)]
        for probe in sockets:
            probe.bind((HOST, 0))
        return [probe.getsockname()[1] for probe in sockets]


def require_free_port(port: int, option: str) -> None:
    """Say plainly when somebody listens on the port already."""
    with socket.socket() as probe:
        # As servers do it: a port whose last user is just gone is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise DemoError(
                f"port {port} cannot be used: {os.strerror(error.errno or 0)}",
                "Is another demo, or another Home Assistant, running?",
                f"Choose another port with {option} {port + 10}, or stop what uses this one.",
            ) from error


def tail(file: Path, lines: int = TAIL) -> tuple[str, ...]:
    """Return the last lines of a file, none if it isn't there."""
    try:
        return tuple(file.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ()


class Server:
    """Starts a command, waits until it answers, and leaves nothing of it behind."""

    def __init__(
        self,
        name: str,
        *command: str | Path,
        url: str,
        ready_path: str,
        output: Path,
        patience: float,
        folder: Path = CHECKOUT,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        """Take what to run, where it will answer, and what asks it to end."""
        self.name = name
        self.url = url
        self.output = output
        self._command = tuple(map(str, command))
        self._ready_path = ready_path
        self._patience = patience
        self._folder = folder
        self._stop_signal = stop_signal
        self._process: Process | None = None

    async def __aenter__(self) -> Self:
        """Start it."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop it."""
        await self.stop()

    @property
    def pid(self) -> int | None:
        """Return the process id, None when it doesn't run."""
        running = self._process and self._process.returncode is None
        return self._process.pid if self._process and running else None

    async def start(self) -> None:
        """Start it and wait until it answers."""
        if self.pid:
            raise DemoError(f"{self.name} is running already")
        await self.kill()
        with self.output.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                cwd=self._folder,
                stdin=DEVNULL,
                stdout=output,
                stderr=STDOUT,
                # Ctrl-C in the terminal is ours: they are stopped in order, and whole.
                start_new_session=True,
            )
        try:
            await self._until_it_answers(self._process)
        except BaseException:
            await self.kill()
            raise

    async def _until_it_answers(self, process: Process) -> None:
        """Ask until it answers, it dies or patience ends."""
        deadline = monotonic() + self._patience
        while process.returncode is None:
            if await self._answers():
                return
            if monotonic() > deadline:
                raise DemoError(
                    f"{self.name} did not answer within {self._patience:.0f} seconds",
                    *tail(self.output),
                )
            await asyncio.sleep(0.05)
        raise self._ended(process.returncode)

    async def _answers(self) -> bool:
        """Return whether it answers by now."""
        with suppress(aiohttp.ClientError, TimeoutError):
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
                session.get(self.url + self._ready_path) as answer,
            ):
                return answer.ok
        return False

    def _ended(self, code: int) -> DemoError:
        how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        return DemoError(f"{self.name} ended by itself ({how})", *tail(self.output))

    async def wait(self) -> int:
        """Wait for its end and return its exit code."""
        if not self._process:
            raise DemoError(f"{self.name} was not started")
        return await self._process.wait()

    async def until_it_ends_by_itself(self, *expected: int) -> int:
        """Wait for its end, which is an error unless the exit code is an expected one."""
        code = await self.wait()
        if code not in expected:
            raise self._ended(code)
        return code

    async def stop(self, patience: float = 20) -> None:
        """Ask it to end, and end it when it doesn't."""
        try:
            if self._process and self._process.returncode is None:
                self._process.send_signal(self._stop_signal)
                async with asyncio.timeout(patience):
                    await self._process.wait()
        except TimeoutError:
            pass
        finally:
            # Also when a second Ctrl-C interrupts the waiting, and for its own children.
            await self.kill()

    async def kill(self) -> None:
        """End it at once, its children too."""
        process, self._process = self._process, None
        if process:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
