"""A server starts, ends, and leaves nothing behind."""

import asyncio
from collections.abc import Callable
import os
from pathlib import Path
import socket
import sys
from textwrap import dedent
from time import monotonic

import pytest

from demo import HOST, DemoError
from demo.server import Server, free_ports, require_free_port, tail

pytestmark = pytest.mark.usefixtures("socket_enabled")

HTTP = dedent("""
    import http.server, os, signal, subprocess, sys
    {before}
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/ready" else 404)
            self.end_headers()
        def log_message(self, *args): pass
    server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    print("serving", flush=True)
    server.serve_forever()
""")
STUBBORN = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
PARENT = "print(subprocess.Popen(['sleep', '600']).pid, flush=True)"

type MakeServer = Callable[..., Server]


@pytest.fixture
def make_server(tmp_path: Path) -> MakeServer:
    """Return a maker of small servers."""

    def make(code: str = HTTP.format(before=""), patience: float = 20) -> Server:
        (port,) = free_ports(1)
        return Server(
            "the server",
            *(sys.executable, "-c", code, str(port)),
            url=f"http://{HOST}:{port}",
            ready_path="/ready",
            output=tmp_path / "output",
            patience=patience,
        )

    return make


def running(server: Server) -> int:
    """Return the process id of a server that runs."""
    pid = server.pid
    assert pid is not None
    return pid


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that only waits to be reaped doesn't."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def test_runs_while_it_is_entered(make_server: MakeServer) -> None:
    """It answers inside the block and is gone after it."""
    async with make_server() as server:
        pid = running(server)
        assert alive(pid)
    assert server.pid is None
    assert not alive(pid)


async def test_starts_again_after_it_was_killed(make_server: MakeServer) -> None:
    """A killed server can be started on the same port, with its output kept."""
    async with make_server() as server:
        first = running(server)
        await server.kill()
        assert not alive(first)
        await server.start()
        assert running(server) != first
    assert tail(server.output) == ("serving", "serving")


async def test_is_not_started_twice(make_server: MakeServer) -> None:
    """A second start is refused and the first keeps running."""
    async with make_server() as server:
        with pytest.raises(DemoError, match="running already"):
            await server.start()
        assert alive(running(server))


async def test_early_death_shows_the_last_words(make_server: MakeServer) -> None:
    """A server that ends at once is noticed at once."""
    server = make_server("import sys; print('no such thing'); sys.exit(3)")
    began = monotonic()
    with pytest.raises(DemoError, match="ended by itself \\(exit code 3\\)") as caught:
        await server.start()
    assert caught.value.details == ("no such thing",)
    assert monotonic() - began < 15


async def test_waiting_for_an_answer_ends(make_server: MakeServer) -> None:
    """A server that never answers is given up, and ended."""
    server = make_server(
        "import os, time; print(os.getpid(), flush=True); time.sleep(600)", patience=1
    )
    with pytest.raises(DemoError, match="did not answer within 1 seconds") as caught:
        await server.start()
    assert not alive(int(caught.value.details[0]))


async def test_a_stubborn_server_and_its_children_end(make_server: MakeServer) -> None:
    """What doesn't listen to SIGTERM is killed, with what it started."""
    server = make_server(HTTP.format(before=f"{STUBBORN}\n{PARENT}"))
    await server.start()
    child = int(tail(server.output)[0])
    pid = running(server)
    assert alive(child)
    await server.stop(patience=0.2)
    assert not alive(pid)
    # Somebody else reaps it.
    for _ in range(100):
        if alive(child):
            await asyncio.sleep(0.02)
    assert not alive(child)


async def test_interrupted_stop_still_ends_it(make_server: MakeServer) -> None:
    """A second Ctrl-C while stopping leaves nothing behind either."""
    server = make_server(HTTP.format(before=STUBBORN))
    await server.start()
    pid = running(server)
    stopping = asyncio.create_task(server.stop(patience=60))
    await asyncio.sleep(0.1)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert not alive(pid)


async def test_a_death_in_between_is_told(make_server: MakeServer) -> None:
    """Whoever waits for its end learns how it came."""
    async with make_server() as server:
        os.kill(running(server), 9)
        with pytest.raises(DemoError, match="SIGKILL"):
            await server.until_it_ends_by_itself(0)


def test_a_port_in_use_is_said_plainly() -> None:
    """The message names the port and the option that chooses another."""
    with socket.socket() as somebody:
        somebody.bind((HOST, 0))
        somebody.listen()
        port = somebody.getsockname()[1]
        with pytest.raises(DemoError, match=f"port {port} cannot be used") as caught:
            require_free_port(port, "--port")
    assert any("--port" in line for line in caught.value.details)
    require_free_port(port, "--port")


def test_free_ports_differ() -> None:
    """Ports asked for together are not the same."""
    assert len(set(free_ports(20))) == 20


def test_tail(tmp_path: Path) -> None:
    """The tail is the last lines, or nothing."""
    file = tmp_path / "log"
    assert tail(file) == ()
    file.write_text("a\nb\nc\n")
    assert tail(file, 2) == ("b", "c")
