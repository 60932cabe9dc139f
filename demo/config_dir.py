"""What a Home Assistant finds in its configuration folder when it first starts.

Onboarding would set up integrations that reach for the internet and hold up the
start, so that it is skipped: what it would have written is written here.
"""

import base64
from collections.abc import Mapping
import json
from pathlib import Path
from types import MappingProxyType
from typing import Any

import bcrypt

from . import CHECKOUT, DOMAIN, HOST

USER = PASSWORD = "demo"
NO_PACKAGES: Mapping[str, str] = MappingProxyType({})

# No default_config: it reaches for the internet. Without auth_mfa_modules: [] two
# more packages are installed while starting, for a second factor nobody has here.
# The last three loggers tell of libraries that are missing and that nothing here uses.
CONFIGURATION = f"""\
homeassistant:
  name: Crypto Invoices
  country: CH
  time_zone: UTC
  internal_url: http://{HOST}:{{port}}
  auth_mfa_modules: []
  packages: !include_dir_named packages
automation: !include automations.yaml
history:
logbook:
logger:
  default: warning
  logs:
    custom_components.{DOMAIN}: info
    homeassistant.util.package: info
    aiohttp_fast_zlib: critical
    haffmpeg: critical
    homeassistant.components.camera.img_util: critical
"""


def prepare(
    folder: Path, port: int, more: str = "", packages: Mapping[str, str] = NO_PACKAGES
) -> None:
    """Make the folder ready for a start; what Home Assistant wrote itself stays.

    ``more`` is added to the configuration in YAML, ``packages`` are packages of it by their names.
    """
    storage = folder / ".storage"
    storage.mkdir(parents=True, exist_ok=True)
    (folder / "packages").mkdir(exist_ok=True)
    for name, text in packages.items():
        (folder / "packages" / f"{name}.yaml").write_text(text)
    (folder / "configuration.yaml").write_text(CONFIGURATION.format(port=port) + more)
    automations = folder / "automations.yaml"
    if not automations.exists():
        automations.write_text("[]\n")
    components = folder / "custom_components"
    components.unlink(missing_ok=True)
    components.symlink_to(CHECKOUT / "custom_components", target_is_directory=True)

    done = ["user", "core_config", "analytics", "integration"]
    _store(storage / "onboarding", 4, {"done": done})
    _store(storage / "http", 3, _http(port))
    users = storage / "auth_provider.homeassistant"
    if not users.exists():
        # Whoever logs in first becomes the owner.
        _store(users, 1, {"users": [{"username": USER, "password": _hashed(PASSWORD)}]})


def _http(port: int) -> dict[str, Any]:
    """Return settings that count at once: a port from YAML would be taken back after a while."""
    stable = {
        "server_host": [HOST],
        "server_port": port,
        "cors_allowed_origins": [],
        "login_attempts_threshold": -1,
        "ip_ban_enabled": False,
        "ssl_profile": "modern_v6",
        "use_x_frame_options": True,
    }
    return {"stable": stable, "pending": None, "yaml_migration_done": True}


def _hashed(password: str) -> str:
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds=12))
    return base64.b64encode(hashed).decode()


def _store(file: Path, version: int, data: dict[str, Any]) -> None:
    content = {"version": version, "minor_version": 1, "key": file.name, "data": data}
    file.write_text(json.dumps(content, indent=2))
    file.chmod(0o600)
