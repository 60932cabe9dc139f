"""CryptoCloud: a project, read through v2 of its API or through the legacy v1."""

from .v1 import CryptoCloudV1
from .v2 import CryptoCloud

__all__ = ["CryptoCloud", "CryptoCloudV1"]
