"""Print what the demo's Home Assistant would install while starting.

Home Assistant installs an integration's requirements when it first sets it up.
What it sets up is read from the installed package, so that it fits its version,
and from our own files.
"""

import json
from pathlib import Path
import re

import homeassistant
from homeassistant.bootstrap import CORE_INTEGRATIONS, DEFAULT_INTEGRATIONS

# What demo/home_assistant.py names in configuration.yaml beyond the defaults.
CONFIGURED = {"history", "logbook"}
PACKAGE = Path(__file__).parents[1] / "custom_components" / "crypto_invoices"
OURS = PACKAGE / "manifest.json"
# Where the requirement of the QR codes is, which is installed when these are set up.
PICTURES = PACKAGE / "qr.py"


def main() -> None:
    """Print the requirements, one a line."""
    components = Path(homeassistant.__file__).parent / "components"
    ours = json.loads(OURS.read_text())
    todo = [*CORE_INTEGRATIONS, *DEFAULT_INTEGRATIONS, *CONFIGURED]
    todo += [*ours["dependencies"], *ours["after_dependencies"]]
    seen: set[str] = set()
    wanted: set[str] = set(re.findall(r'"([^"]+==[^"]+)"', PICTURES.read_text()))
    while todo:
        domain = todo.pop()
        manifest = components / domain / "manifest.json"
        if domain in seen or not manifest.exists():
            continue
        seen.add(domain)
        data = json.loads(manifest.read_text())
        wanted.update(data.get("requirements", ()))
        # Those it only comes after are not set up, but their requirements are installed.
        todo += data.get("dependencies", ())
        todo += data.get("after_dependencies", ())
    print("\n".join(sorted(wanted)))


if __name__ == "__main__":
    main()
