"""Reads what somebody posts, who may be anybody: not too much of it, and not for too long."""

import asyncio
from http import HTTPStatus

from aiohttp.web import Request, RequestPayloadError

# No honest push is larger, or takes longer to arrive.
MAX_BODY_BYTES = 256 * 1024
BODY_TIMEOUT = 10


class BodyRejected(Exception):
    """A body that is not read to its end."""

    def __init__(self, reason: str, status: HTTPStatus) -> None:
        """Keep why, and what to answer."""
        super().__init__(reason)
        self.reason = reason
        self.status = status


async def async_read_body(request: Request) -> bytes:
    """Return the body. Raises BodyRejected."""
    # Cloudhooks have only ``read`` to offer, and begin again with each ``content``.
    body, content = bytearray(), request.content
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            while chunk := await content.read(MAX_BODY_BYTES):
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise BodyRejected("too_large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    except TimeoutError:
        raise BodyRejected("slow", HTTPStatus.REQUEST_TIMEOUT) from None
    except RequestPayloadError:
        # It isn't compressed the way it claims to be.
        raise BodyRejected("malformed", HTTPStatus.BAD_REQUEST) from None
    return bytes(body)
