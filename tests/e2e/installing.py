"""What a story needs beyond Home Assistant is installed when it is told."""

import asyncio
from asyncio.subprocess import DEVNULL, PIPE, STDOUT

from demo import CHECKOUT, DemoError
from demo.server import TAIL


async def install(script: str) -> None:
    """Run one of the scripts that install something, unless it is there already."""
    process = await asyncio.create_subprocess_exec(
        CHECKOUT / "script" / script, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT
    )
    output, _ = await process.communicate()
    if process.returncode:
        lines = output.decode(errors="replace").splitlines()
        raise DemoError(f"script/{script} failed", *lines[-TAIL:])
