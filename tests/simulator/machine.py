"""What happens to the machine that the shop's Home Assistant runs on."""

from collections.abc import Callable
from datetime import timedelta

from homeassistant.core import CoreState

from custom_components.crypto_invoices import backup

from .home import ShopHome
from .log import Log
from .losses import Losses
from .mail import Later
from .plan import Event


class Machine:
    """Stops, kills, a bad disk, a wrong clock."""

    def __init__(self, home: ShopHome, losses: Losses, later: Later, log: Log) -> None:
        """Begin with a machine that is off."""
        self._home = home
        self._losses = losses
        self._loop = home.loop
        self._later = later
        self._log = log
        self._down = 1.0
        self._does: dict[str, Callable[[Event], None]] = {
            "stopped": self._stopped,
            "killed": self._killed,
            "lost": self._lose,
            "disk": self._disk,
            "clock": self._clock,
            "backup": self._backup,
        }

    def do(self, event: Event) -> bool:
        """Let an event happen; return whether it is one of the machine's."""
        if (does := self._does.get(event.kind)) is None:
            return False
        does(event)
        return True

    def start_first(self) -> None:
        """Start Home Assistant for the first time."""
        self._loop.run(self._home.async_begin())
        self._home.started()

    def start(self) -> None:
        """Start Home Assistant; it has started when all accounts had their time to load."""
        home = self._home
        if home.is_running:
            return
        self._log.write("--- Home Assistant starts")
        self._loop.run(home.async_begin())
        home.start(home.async_set_up_accounts())
        life = home.life
        self._later(15, lambda: self._started(life))

    def _started(self, life: int) -> None:
        """Let Home Assistant have started."""
        if self._home.life == life and self._home.hass.state is CoreState.starting:
            self._log.write("--- Home Assistant has started")
            self._home.started()

    def _stopped(self, event: Event) -> None:
        """Stop in an orderly way."""
        if self._home.is_running:
            self._loop.halt_in(None)
            self._home.dies_at = None
            self._home.stops += 1
            self._home.stop()
        self._later(event.seconds, self.start)

    def _lose(self, event: Event) -> None:
        """Stop, and lose the file of an account."""
        if (account := self._home.account(event.account)) is None:
            return
        self._losses.note(event.account, account)
        self._stopped(event)
        self._home.lose_file(event.account, is_there=event.what == "damaged")

    def _killed(self, event: Event) -> None:
        """Die now, in a few turns of the loop, or at a write."""
        if not self._home.is_running:
            return
        self._down = event.seconds
        if event.what.startswith(("before", "after")):
            self._home.dies_at = int(event.number), event.what.partition(" ")[0]
        elif event.number:
            self._loop.halt_in(int(event.number))
        else:
            self.die()

    def die(self) -> None:
        """Lose everything but the disk."""
        if not self._home.is_running:
            return
        self._log.write("--- it is dead")
        self._loop.halt_in(None)
        self._home.dies_at = None
        self._home.kills += 1
        self._home.bury()
        self._later(self._down, self.start)

    def _disk(self, event: Event) -> None:
        """Let the disk fail."""
        self._home.disk_is = event.what
        self._later(event.seconds, self._mend_disk)

    def _mend_disk(self) -> None:
        """Let the disk be well again."""
        self._home.disk_is = "well"

    def _clock(self, event: Event) -> None:
        """Set the clock on the wall."""
        self._loop.wall_offset = timedelta(hours=event.number)
        self._later(event.seconds, self._set_clock_right)

    def _set_clock_right(self) -> None:
        """Set the clock right."""
        self._loop.wall_offset = timedelta()

    def _backup(self, event: Event) -> None:
        """Make a backup; a kill ends it."""
        home, life = self._home, self._home.life
        if not home.is_running:
            return
        home.start(backup.async_pre_backup(home.hass))

        def end() -> None:
            if home.life == life and home.is_running:
                home.start(backup.async_post_backup(home.hass))

        self._later(event.seconds, end)

    def calm(self) -> None:
        """Let everything be well, and Home Assistant run."""
        self._loop.halt_in(None)
        self._home.dies_at = None
        self._mend_disk()
        self._set_clock_right()
        self.start()
