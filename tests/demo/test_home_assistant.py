"""What Home Assistant is given before its start, and what its log says after it."""

import base64
import json
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from demo import CHECKOUT, DemoError, config_dir
from demo.command_line import LOGINS, begin_anew, only_one
from demo.home_assistant import RealHomeAssistant, complaints

FINE = """\
2026-11-20 10:00:00.000+00:00 WARNING (SyncWorker_0) [homeassistant.loader] We found a custom integration crypto_invoices
2026-11-20 10:00:01.000+00:00 ERROR (MainThread) [haffmpeg.core] FFmpeg fails
Traceback (most recent call last):
  File "core.py", line 130, in open
2026-11-20 10:00:02.000+00:00 WARNING (MainThread) [custom_components.crypto_invoices.coordinator] no answer
"""
BAD = {
    "error": "2026-11-20 10:00:03.000+00:00 ERROR (MainThread) [custom_components.crypto_invoices] x",
    "traceback": (
        "2026-11-20 10:00:03.000+00:00 WARNING (MainThread) [asyncio] oh\n"
        'Traceback (most recent call last):\n  File "custom_components/crypto_invoices/a.py"'
    ),
    "misuse": (
        "2026-11-20 10:00:03.000+00:00 WARNING (MainThread) [homeassistant.helpers.frame] "
        "Detected that custom integration 'crypto_invoices' calls something old"
    ),
}


def stored(folder: Path, name: str) -> dict[str, Any]:
    """Return what is in a file of the storage."""
    content: dict[str, Any] = json.loads((folder / ".storage" / name).read_text())
    assert content["key"] == name
    return content


def test_prepared_folder(tmp_path: Path) -> None:
    """The folder skips onboarding, has the user, and the port for good."""
    RealHomeAssistant(tmp_path, 8177).prepare()
    http = stored(tmp_path, "http")
    assert http["version"] == 3
    assert http["data"]["pending"] is None
    assert http["data"]["stable"]["server_host"] == ["127.0.0.1"]
    assert http["data"]["stable"]["server_port"] == 8177
    assert set(stored(tmp_path, "onboarding")["data"]["done"]) == {
        *("user", "core_config", "analytics", "integration")
    }
    (user,) = stored(tmp_path, "auth_provider.homeassistant")["data"]["users"]
    assert user["username"] == config_dir.USER
    hashed = base64.b64decode(user["password"])
    assert bcrypt.checkpw(config_dir.PASSWORD.encode(), hashed)
    assert (tmp_path / "custom_components").resolve() == CHECKOUT / "custom_components"


def test_prepared_again(tmp_path: Path) -> None:
    """A new port is taken over; the user and the automations stay."""
    RealHomeAssistant(tmp_path, 8177).prepare()
    users = stored(tmp_path, "auth_provider.homeassistant")
    (tmp_path / "automations.yaml").write_text("- id: mine\n")
    RealHomeAssistant(tmp_path, 8178).prepare()
    assert stored(tmp_path, "http")["data"]["stable"]["server_port"] == 8178
    assert stored(tmp_path, "auth_provider.homeassistant") == users
    assert (tmp_path / "automations.yaml").read_text() == "- id: mine\n"


def test_beginning_anew_keeps_logins_and_the_checkout(tmp_path: Path) -> None:
    """Everything goes but the logins; what a link leads to is not touched."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").touch()
    folder = tmp_path / "demo"
    RealHomeAssistant(folder, 8177).prepare()
    (folder / "custom_components").unlink()
    (folder / "custom_components").symlink_to(elsewhere)
    (folder / "blueprints/automation").mkdir(parents=True)
    begin_anew(folder, LOGINS)
    left = [path.relative_to(folder).as_posix() for path in folder.rglob("*")]
    assert sorted(left) == [".storage", ".storage/auth_provider.homeassistant"]
    begin_anew(folder, ())
    assert list(folder.iterdir()) == []
    assert (elsewhere / "precious").exists()


def test_only_one_demo_in_a_folder(tmp_path: Path) -> None:
    """A second demo is refused while the first runs, and not after it."""
    with only_one(tmp_path), pytest.raises(DemoError, match="running already"), only_one(tmp_path):
        pass
    with only_one(tmp_path):
        pass


def test_a_good_log_has_no_complaints() -> None:
    """Other people's errors and our own warnings are not failures."""
    assert complaints("") == []
    assert complaints(FINE) == []


@pytest.mark.parametrize("entry", BAD.values(), ids=BAD)
def test_a_bad_log_has(entry: str) -> None:
    """Our errors, tracebacks through us and reports of misuse are found, whole."""
    assert complaints(f"{FINE}{entry}\n{FINE}") == [entry]
