"""What our tests use of PyYAML, which has no types of its own."""

from typing import Any

def safe_load(stream: str) -> Any: ...
