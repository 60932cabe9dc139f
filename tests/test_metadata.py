"""What Home Assistant, the Marketplace and HACS read about the integration is as they want it."""

import ast
import json
from pathlib import Path
import struct
import tomllib
from typing import Any

from awesomeversion import AwesomeVersion
from homeassistant.components.brands.const import ALLOWED_IMAGES
from homeassistant.const import __version__ as home_assistant
import pytest

from .conftest import PACKAGE

ROOT = PACKAGE.parent.parent
MANIFEST: dict[str, Any] = json.loads((PACKAGE / "manifest.json").read_text())
HACS: dict[str, Any] = json.loads((ROOT / "hacs.json").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BRAND = PACKAGE / "brand"


def test_manifest_keys() -> None:
    """The domain and the name come first, then the alphabet; nothing is needed beyond core."""
    assert list(MANIFEST) == ["domain", "name", *sorted(MANIFEST.keys() - {"domain", "name"})]
    required = {"codeowners", "documentation", "iot_class", "issue_tracker", "version"}
    assert required <= MANIFEST.keys()
    known = {"after_dependencies", "config_flow", "dependencies", "integration_type"}
    assert MANIFEST.keys() <= {"domain", "name", "requirements"} | required | known


def test_manifest_values() -> None:
    """It says what it is, and where its pages are."""
    assert MANIFEST["domain"] == PACKAGE.name
    assert MANIFEST["config_flow"] is True
    assert MANIFEST["integration_type"] == "service"
    assert MANIFEST["iot_class"] == "cloud_polling"
    assert all(owner.startswith("@") for owner in MANIFEST["codeowners"])
    assert MANIFEST["documentation"].startswith("https://github.com/")
    assert MANIFEST["issue_tracker"] == f"{MANIFEST['documentation']}/issues"
    for requirement in MANIFEST.get("requirements", ()):
        name, _, version = requirement.partition("==")
        assert name
        assert AwesomeVersion(version).valid, "a requirement is pinned"


def test_components_are_declared() -> None:
    """What is used of other integrations is set up before, as hassfest wants it."""
    used: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                if node.module == "homeassistant.components":
                    used |= {alias.name for alias in node.names}
                elif node.module.startswith("homeassistant.components."):
                    used.add(node.module.split(".")[2])
    # A platform may use the integration whose platform it is.
    own = {path.stem for path in PACKAGE.iterdir()}
    declared = {*MANIFEST["dependencies"], *MANIFEST["after_dependencies"]}
    assert used - own <= declared <= used


def test_versions() -> None:
    """There is one version, and it is one that can be compared."""
    assert MANIFEST["version"] == PROJECT["version"]
    assert AwesomeVersion(MANIFEST["version"]).simple


def test_hacs() -> None:
    """What is installed is the archive of a release, on a Home Assistant that tests have seen."""
    assert {
        "name": MANIFEST["name"],
        "filename": f"{MANIFEST['domain']}.zip",
        "hide_default_branch": True,
        "homeassistant": HACS["homeassistant"],
        "zip_release": True,
    } == HACS
    lowest = AwesomeVersion(HACS["homeassistant"])
    assert lowest <= AwesomeVersion(home_assistant)
    readme = (ROOT / "README.md").read_text()
    assert f"Home Assistant {lowest.section(0)}.{lowest.section(1)} or newer" in readme


def size(path: Path) -> tuple[int, int]:
    """Return the width and height of a PNG image."""
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n", path
    return struct.unpack(">II", head[16:24])


@pytest.mark.parametrize("name", ["icon", "logo", "dark_logo"])
def test_brand_images(name: str) -> None:
    """Icons are squares of 256, logos no higher than that; the sharp ones are twice as large."""
    width, height = size(BRAND / f"{name}.png")
    assert height == 256
    assert width >= height if "logo" in name else width == height
    sharp_width, sharp_height = size(BRAND / f"{name}@2x.png")
    assert sharp_height == 2 * height
    assert abs(sharp_width - 2 * width) <= 2, "trimmed to whole pixels"


def test_no_other_brand_images() -> None:
    """Home Assistant serves these names and no others."""
    assert {path.name for path in BRAND.iterdir()} <= ALLOWED_IMAGES
