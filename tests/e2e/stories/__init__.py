"""The stories: each module has one, `STORY`, or several that are asked for by one name, `STORIES`."""

from importlib import import_module
import pkgutil

from tests.e2e.story import Story


def discover() -> dict[str, tuple[Story, ...]]:
    """Return the stories by the names of their modules, in the order of these."""
    found: dict[str, tuple[Story, ...]] = {}
    for module in pkgutil.iter_modules(__path__):
        told = import_module(f"{__name__}.{module.name}")
        found[module.name] = told.STORIES if hasattr(told, "STORIES") else (told.STORY,)
    return found
