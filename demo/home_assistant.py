"""A real Home Assistant: started, stopped, killed and started again."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
import re
from typing import Self

from . import CHECKOUT, DOMAIN, HOST, config_dir
from .server import Server, require_free_port, tail

RESTART_ASKED_FOR = 100
PATIENCE = 120
PYTHON = CHECKOUT / ".venv-ha/bin/python"

_NEW_ENTRY = re.compile(r"^(?=\d{4}-\d\d-\d\d )", re.MULTILINE)
_WRONG = re.compile(r"^\S+ \S+ (?:ERROR|CRITICAL) |Traceback|Detected ")


class RealHomeAssistant:
    """Home Assistant with our integration, in a folder that outlives its process."""

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        python: Path = PYTHON,
        more: str = "",
        packages: Mapping[str, str] = config_dir.NO_PACKAGES,
    ) -> None:
        """Take the configuration folder, made if need be, the port, and more YAML."""
        self.folder = folder
        self.port = port
        self._more = more
        self._packages = packages
        self.url = f"http://{HOST}:{port}"
        self.log = folder / "home-assistant.log"
        command = (python, "-m", "homeassistant", "--config", folder)
        self._server = Server(
            "Home Assistant",
            *command,
            url=self.url,
            ready_path="/manifest.json",
            output=folder / "console.log",
            patience=PATIENCE,
            folder=folder,
        )

    async def __aenter__(self) -> Self:
        """Prepare the folder and start."""
        await asyncio.to_thread(self.prepare)
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    @property
    def pid(self) -> int | None:
        """Return the process id, None when it doesn't run."""
        return self._server.pid

    def prepare(self) -> None:
        """Write what skips onboarding, with the user demo/demo."""
        config_dir.prepare(self.folder, self.port, self._more, self._packages)
        self._server.output.unlink(missing_ok=True)

    async def start(self) -> None:
        """Start it and wait until it answers."""
        require_free_port(self.port, "--port")
        await self._server.start()

    async def stop(self) -> None:
        """Let it end in order; after a while, end it."""
        await self._server.stop()

    async def kill(self) -> None:
        """End it as a power cut would."""
        await self._server.kill()

    async def restart(self) -> None:
        """Stop it and start it again on the same folder."""
        await self.stop()
        await self.start()

    async def run(self) -> None:
        """Keep it running until it ends by itself; it may ask to be started again."""
        while await self._server.until_it_ends_by_itself(0, RESTART_ASKED_FOR):
            await self.start()

    def log_tail(self) -> tuple[str, ...]:
        """Return the end of its log."""
        return tail(self.log)

    def complaints(self) -> list[str]:
        """Return the log's entries that say something of ours went wrong."""
        return complaints(self.log.read_text(errors="replace") if self.log.exists() else "")

    def installed_while_starting(self) -> list[str]:
        """Return the packages that were missing when it started."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return re.findall(r"Attempting install of (\S+)", text)


def complaints(log: str) -> list[str]:
    """Return a log's errors, tracebacks and reports of misuse that name the integration."""
    entries = _NEW_ENTRY.split(log)
    return [entry.rstrip() for entry in entries if DOMAIN in entry and _WRONG.search(entry)]
