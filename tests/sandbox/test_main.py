"""Starting and ending the sandbox from a command line."""

import asyncio
import signal
import socket
from subprocess import PIPE
import sys

import pytest

from sandbox.__main__ import main, serve


@pytest.mark.parametrize("host", ["192.168.1.5", "example.com", ""])
def test_loopback_only(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody but this machine gets in."""
    with pytest.raises(SystemExit):
        main(["--host", host])
    assert "loopback" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["65536", "-1", "http"])
def test_no_such_port(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A port that can't be is refused."""
    with pytest.raises(SystemExit):
        main(["--port", port])
    assert "is not a port" in capsys.readouterr().err


async def test_port_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    """A port that is taken is said in one line."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert await serve("127.0.0.1", port, demo_invoices=True) == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_ends_cleanly(number: signal.Signals) -> None:
    """It says where it is, and ends when told to."""
    command = (sys.executable, "-m", "sandbox", "--port", "0", "--with-demo-invoices")
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    assert process.stdout
    line = await process.stdout.readline()
    assert line.startswith(b"The sandbox is at http://127.0.0.1:")
    process.send_signal(number)
    assert await process.communicate() == (b"", b"")
    assert process.returncode == 0
