"""The stories: each module that has a `STORY` is one."""

from importlib import import_module
import pkgutil

from tests.e2e.story import Story


def discover() -> dict[str, Story]:
    """Return the stories by name, in order of their names."""
    modules = (
        import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)
    )
    stories = (getattr(module, "STORY", None) for module in modules)
    return {story.name: story for story in stories if isinstance(story, Story)}
