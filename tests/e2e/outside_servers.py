"""A broker and a database as Debian packages them, on loopback and in a folder of their own."""

import asyncio
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import Sequence
from contextlib import suppress
import os
from pathlib import Path
import shutil
import signal

from demo import CHECKOUT, HOST, DemoError
from demo.server import Server

UNPACKED = CHECKOUT / ".cache/outside"
# PostgreSQL doesn't run as root.
NOBODY = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")


def _find(pattern: str, roots: Sequence[Path] = (Path("/"), UNPACKED)) -> Path:
    """Return a program, the machine's own or one that script/outside unpacked."""
    found = (path for root in roots for path in sorted(root.glob(pattern)))
    return next(found, UNPACKED / pattern)


def _environment(root: Path) -> tuple[str, str]:
    """Return what has programs that were unpacked below a folder find their libraries."""
    libraries = (*root.glob("usr/lib/*-linux-gnu*"), *root.glob("lib/*-linux-gnu*"))
    return "env", f"LD_LIBRARY_PATH={':'.join(map(str, libraries))}"


async def _listens(port: int) -> bool:
    """Return whether somebody takes connections there."""
    with suppress(OSError):
        _, writer = await asyncio.open_connection(HOST, port)
        writer.close()
        return True
    return False


class Mosquitto(Server):
    """An MQTT broker that remembers sessions and retained messages when it is restarted."""

    def __init__(self, folder: Path, port: int) -> None:
        """Take a new folder for what it remembers, and the port."""
        folder.mkdir()
        self.port = port
        self._configuration = folder / "mosquitto.conf"
        self._configuration.write_text(f"""\
listener {port} {HOST}
allow_anonymous true
persistence true
persistence_location {folder}/
max_queued_messages 0
user root
""")
        super().__init__(
            "Mosquitto",
            *(*_environment(UNPACKED), _find("usr/sbin/mosquitto"), "-c", self._configuration),
            url=f"mqtt://{HOST}:{port}",
            ready_path="",
            output=folder.with_suffix(".log"),
            patience=20,
        )

    def freeze(self) -> None:
        """Let it do nothing, while its connections stay open."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        if self.pid is None:
            raise DemoError("Mosquitto ended by itself")
        os.kill(self.pid, number)

    async def _answers(self) -> bool:
        return await _listens(self.port)


class PostgreSQL(Server):
    """A PostgreSQL with one database, which everybody on this machine may use."""

    def __init__(self, folder: Path, port: int) -> None:
        """Take a new folder for the data, in one that others may enter, and the port."""
        folder.mkdir()
        self._user: tuple[str, ...] = ()
        root = UNPACKED
        if os.getuid() == 0:
            shutil.chown(folder, "nobody", "nogroup")
            self._user = NOBODY
            # The checkout may be where nobody else may enter.
            root = folder.with_name("programs")
            # Without what only its compiler and its scripts need.
            leave = shutil.ignore_patterns(
                "*LLVM*", "libz3*", "bitcode", "perl*", "doc", "i18n", "locale", "man"
            )
            if UNPACKED.exists():
                shutil.copytree(UNPACKED, root, symlinks=True, ignore=leave)
        self._programs = _find("usr/lib/postgresql/*/bin/initdb", (Path("/"), root)).parent
        self._before = (*self._user, *_environment(root))
        self._data = folder / "data"
        settings = {
            "port": port,
            "listen_addresses": HOST,
            "unix_socket_directories": "",
            "jit": "off",
        }
        super().__init__(
            "PostgreSQL",
            *(*self._before, self._programs / "postgres", "-D", self._data),
            *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
            url=f"postgresql://hass@{HOST}:{port}/postgres",
            ready_path="",
            output=folder.with_suffix(".log"),
            patience=60,
            folder=folder,
            # Its users are sent away; with SIGTERM it would wait for them.
            stop_signal=signal.SIGINT,
        )
        self._port = port

    async def start(self) -> None:
        """Make the database if there is none, and start."""
        if not self._data.exists():
            options = ("--username=hass", "--auth=trust", "--locale=C", "--encoding=UTF8")
            await self._run("initdb", "-D", self._data, "--no-sync", *options)
        await super().start()

    async def _answers(self) -> bool:
        with suppress(DemoError):
            await self._run("pg_isready", "--quiet", "--host", HOST, "--port", self._port)
            return True
        return False

    async def query(self, text: str) -> str:
        """Return what a query finds, a row a line, with | between columns."""
        options = ("--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "-v", "ON_ERROR_STOP=1")
        return await self._run("psql", *options, self.url, "--command", text)

    async def _run(self, program: str, *arguments: object) -> str:
        """Run one of its programs, and return what it says."""
        command = map(str, (*self._before, self._programs / program, *arguments))
        process = await asyncio.create_subprocess_exec(
            *command, cwd=self._folder, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT
        )
        output, _ = await process.communicate()
        said = output.decode(errors="replace")
        if process.returncode:
            raise DemoError(f"{program} failed", *said.splitlines())
        return said
