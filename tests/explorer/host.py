"""A machine that Home Assistant runs on: it can be stopped, killed and started, with its disk."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
import re
from typing import Any
from unittest.mock import MagicMock, patch

from homeassistant.components import automation
from homeassistant.components.automation.const import DOMAIN as AUTOMATION_DOMAIN
from homeassistant.config import async_process_component_and_handle_errors
from homeassistant.const import EVENT_HOMEASSISTANT_STARTED
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.helpers import (
    area_registry as ar,
    category_registry as cr,
    device_registry as dr,
    entity_registry as er,
    floor_registry as fr,
    issue_registry as ir,
    label_registry as lr,
    trigger as trigger_helper,
)
from homeassistant.helpers.restore_state import async_load as async_load_restored
from homeassistant.helpers.storage import Store
from homeassistant.loader import DATA_CUSTOM_COMPONENTS, async_get_integration
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import (
    INSTANCES,
    async_test_home_assistant,
    mock_storage,
)

from custom_components.crypto_invoices.book.database import StorageError
from custom_components.crypto_invoices.book.storage import Storage
from custom_components.crypto_invoices.const import DOMAIN

from .virtual import VirtualLoop

_OURS = f"custom_components.{DOMAIN}"
# What they need is there: no web server, no files.
_LOADED = ("http", "websocket_api", "auth", "webhook", "system_log")


@dataclass
class Gate:
    """A place where what is under way waits, while that is wanted."""

    is_held: bool = False
    waiting: list[asyncio.Future[str]] = field(default_factory=list)

    async def async_pass(self) -> str:
        """Wait until it is let through; return how."""
        if not self.is_held:
            return "well"
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.waiting.append(future)
        try:
            return await future
        finally:
            if future in self.waiting:
                self.waiting.remove(future)

    def release(self, how: str = "well") -> None:
        """Let the first through."""
        future = self.waiting.pop(0)
        if not future.done():
            future.set_result(how)


class Host:
    """A Home Assistant that is not treated well."""

    def __init__(self, folder: Path, loop: VirtualLoop) -> None:
        """Prepare an empty disk."""
        self.folder = folder
        self.loop = loop
        self.life = 0
        """How often it was stopped or killed."""
        self.disk = Gate()
        self.reads = Gate()
        self.arming = Gate()
        self.gates = {"writes": self.disk, "reads": self.reads, "arming": self.arming}
        self.storages: list[Storage] = []
        self.hass: HomeAssistant
        self._manager: AbstractAsyncContextManager[HomeAssistant] | None = None

    @property
    def is_running(self) -> bool:
        """Whether there is a Home Assistant."""
        return self._manager is not None

    @contextmanager
    def patched(self) -> Iterator[None]:
        """Let time and disk be ours."""
        with ExitStack() as stack:
            stack.enter_context(_storage_kept())
            for asked in (dt_util, dr, er):
                stack.enter_context(patch.object(asked, "utcnow", self.loop.wall))
            for module in ("account", "clients"):
                stack.enter_context(patch(f"{_OURS}.{module}.monotonic", self.loop.time))
            for module in ("account", "coordinator"):
                # The same story ends the same way each time.
                stack.enter_context(patch(f"{_OURS}.{module}.Random", lambda: Random(0)))
            get_platform = trigger_helper._async_get_trigger_platform

            async def slow(*args: Any) -> Any:
                await self.arming.async_pass()
                self.note_arming()
                return await get_platform(*args)

            stack.enter_context(patch.object(trigger_helper, "_async_get_trigger_platform", slow))
            opened = Storage.open

            def opening(storage: Storage, **how: Any) -> Any:
                self.storages.append(storage)
                return opened(storage, **how)

            stack.enter_context(patch.object(Storage, "open", opening))
            yield

    async def async_begin(self) -> HomeAssistant:
        """Start Home Assistant with its automations, up to where accounts are set up."""
        self._manager = async_test_home_assistant(
            config_dir=str(self.folder),
            initial_state=CoreState.starting,
            load_registries=False,
        )
        self.hass = hass = await self._manager.__aenter__()
        vars(hass)["async_add_executor_job"] = self._executor(self.life)
        hass.http = MagicMock()
        hass.config.components.update(_LOADED)
        hass.data.pop(DATA_CUSTOM_COMPONENTS, None)
        await self.async_load_registries()
        await async_get_integration(hass, DOMAIN)
        self.register_actions()
        assert await async_setup_component(hass, AUTOMATION_DOMAIN, self.automations())
        component = hass.data[automation.DATA_COMPONENT]
        vars(component)["async_prepare_reload"] = self._prepare_reload
        return hass

    async def async_load_registries(self) -> None:
        """Load what was written of the registries."""
        dr.async_setup(self.hass)
        for registry in (ar, cr, dr, er, fr, ir, lr):
            await registry.async_load(self.hass)
        await async_load_restored(self.hass)

    def register_actions(self) -> None:
        """Register the actions that automations run."""

    def automations(self) -> dict[str, Any]:
        """Return the automations as they are saved now."""
        raise NotImplementedError

    async def _prepare_reload(self, *, skip_reset: bool = False) -> Any:
        """Return what the file of automations says."""
        integration = await async_get_integration(self.hass, AUTOMATION_DOMAIN)
        return await async_process_component_and_handle_errors(
            self.hass, self.automations(), integration
        )

    def _executor(self, life: int) -> Callable[..., asyncio.Future[Any]]:
        """Return what does blocking work: at once, but for the disk."""

        async def execute(target: Callable[..., Any], *args: Any) -> Any:
            is_write = getattr(target, "__func__", None) is Storage.write
            if is_write and await self.async_pass_to_disk() == "badly":
                raise StorageError("the disk is full")
            is_ours = str(getattr(target, "__module__", "")).startswith(_OURS)
            if is_ours and not is_write:
                how, name = await self.async_pass_reading(), target.__qualname__
                # What only closes or deletes a file doesn't fail.
                if how == "badly" and "<locals>" in name and "close" not in name:
                    raise StorageError("the disk is not there")
            if life != self.life:
                raise asyncio.CancelledError
            result = target(*args)
            if is_ours and not is_write:
                await self.async_pass_reading()
            if is_write:
                # Written, but nobody knows it yet.
                await self.async_pass_from_disk()
            return result

        def executor(target: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
            return self.loop.create_task(execute(target, *args))

        return executor

    async def async_pass_reading(self) -> str:
        """Wait until something may be read, or is known to be; return how that goes."""
        return await self.reads.async_pass()

    async def async_pass_to_disk(self) -> str:
        """Wait until something may be written; return how that goes."""
        return await self.disk.async_pass()

    async def async_pass_from_disk(self) -> None:
        """Wait until it is known what was written."""
        await self.disk.async_pass()

    def stop(self) -> None:
        """Stop Home Assistant in an orderly way."""
        for gate in self.gates.values():
            gate.is_held = False
        self._release_all()
        stopping = self.loop.create_task(self.hass.async_stop(force=True))
        self.loop.advance(0.1)
        for _ in range(60):
            if stopping.done():
                break
            self._release_all()
            self.loop.advance(5)
        assert stopping.done(), "Home Assistant does not stop"
        stopping.result()
        self.bury()

    def _release_all(self) -> None:
        """Let all through that waits at a gate."""
        for gate in self.gates.values():
            while gate.waiting:
                gate.release()
                self.loop.settle()

    def bury(self) -> None:
        """Lose everything but the disk: let nothing be left of this life."""
        self.life += 1
        # Who is cancelled now must not begin anew.
        self.hass.set_state(CoreState.stopped)
        for gate in self.gates.values():
            gate.is_held = False
        for task in self.tasks():
            task.cancel()
        self.loop.settle()
        self.note_end()
        for gate in self.gates.values():
            gate.waiting.clear()
        for storage in self.storages:
            storage.close()
        self.storages.clear()
        self.loop.drop_timers()
        self.hass.import_executor.shutdown(wait=True)
        if self.hass in INSTANCES:
            INSTANCES.remove(self.hass)
        assert self._manager is not None
        self.loop.run_until_complete(self._manager.__aexit__(None, None, None))
        self._manager = None

    def tasks(self) -> list[asyncio.Task[Any]]:
        """Return what is under way, and ends with Home Assistant, in an order of its own."""
        return sorted(asyncio.all_tasks(self.loop), key=_by_name)

    def note_end(self) -> None:
        """Note that a life has ended."""

    def note_arming(self) -> None:
        """Note that an automation is armed, which takes the place of what was saved before."""

    def started(self) -> None:
        """Let Home Assistant have started."""
        self.hass.set_state(CoreState.running)
        self.hass.bus.async_fire_internal(EVENT_HOMEASSISTANT_STARTED)
        self.loop.settle()


def _by_name(task: asyncio.Task[Any]) -> tuple[str, int]:
    """Return a task's name, in which a number comes after a smaller one."""
    name = task.get_name()
    number = re.search(r"\d+$", name)
    return (name[: number.start()], int(number[0])) if number else (name, 0)


@contextmanager
def _storage_kept() -> Iterator[None]:
    """Keep what Home Assistant stores in memory, and no record of who stored it."""
    with mock_storage(), ExitStack() as stack:
        for name in ("_async_load", "_async_write_data", "async_remove"):
            kept = getattr(Store, name).mock.side_effect
            stack.enter_context(patch.object(Store, name, kept))
        yield
