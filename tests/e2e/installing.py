"""What a story needs beyond Home Assistant is installed when it is told."""

import asyncio
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections import defaultdict

from demo import CHECKOUT, DemoError
from demo.server import TAIL

# Stories that are told at the same time may need the same.
_LOCKS: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)


async def install(script: str, *arguments: str) -> None:
    """Run one of the scripts that install something, unless it is there already."""
    async with _LOCKS[script]:
        process = await asyncio.create_subprocess_exec(
            CHECKOUT / "script" / script, *arguments, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT
        )
        output, _ = await process.communicate()
    if process.returncode:
        lines = output.decode(errors="replace").splitlines()
        raise DemoError(f"script/{script} failed", *lines[-TAIL:])
