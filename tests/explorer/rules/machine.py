"""What happens to the machine that Home Assistant runs on."""

from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.explorer.steps import GATES, HEARD_AFTER, Steps, invoices, slow_starts
from tests.explorer.world import EVENTS, INVOICES

# In seconds: a turn, between two hints, a delivery, a poll, a doubt, and up to a late poll.
MOMENTS = (0.5, 2.5, 12.0, 31.0, 31.0, 130.0, 1000.0, 4000.0)
JUMPS = tuple(timedelta(hours=hours) for hours in (-240, -1, 1, 240))


class MachineRules(Steps):
    """Time, clocks, a slow or full disk, stops, power cuts, a lost file."""

    @rule(seconds=st.sampled_from(MOMENTS))
    def time_passes(self, seconds: float) -> None:
        """Time passes."""
        self._do(f"{seconds:g} seconds pass")
        self._pass(seconds)

    @rule(jump=st.sampled_from(JUMPS))
    def clock_is_set(self, jump: timedelta) -> None:
        """The clock on the wall is set."""
        self._do(f"the clock is set by {jump.total_seconds() / 3600:g} hours")
        self.loop.wall_offset += jump

    @precondition(lambda self: self.loop.wall_offset)
    @rule()
    def clock_is_set_right(self) -> None:
        """The clock on the wall is set right."""
        self._do("the clock is set right")
        self.loop.wall_offset = timedelta()

    @rule(what=st.sampled_from(GATES))
    def hold(self, what: str) -> None:
        """From now on something waits: answers, the disk, actions, or automations that are armed."""
        self._do(f"{what} wait from now on")
        if what == "answers":
            self.world.is_held = True
        else:
            self.home.gates[what].is_held = True

    @rule(what=st.sampled_from(GATES))
    def release_all(self, what: str) -> None:
        """Let all of it go on."""
        self._do(f"{what} wait no longer")
        self._release(what)

    @precondition(lambda self: any(gate.waiting for gate in self.home.gates.values()))
    @rule(how=st.sampled_from(["well", "well", "badly"]))
    def one_goes_on(self, how: str) -> None:
        """What waits first goes on; the disk may fail."""
        name, gate = next((name, one) for name, one in self.home.gates.items() if one.waiting)
        self._do(f"one of the {name} goes on {how}")
        gate.release(how)
        self.loop.settle()

    @precondition(lambda self: self.home.is_loaded)
    @rule(id_=invoices)
    def write_fails(self, id_: str) -> None:
        """An invoice is deleted, which can't be written at first."""
        self._do(f"{id_} is deleted while the disk is full, then Home Assistant is stopped")
        self.home.disk.is_held = True
        self._delete(id_)
        if self.home.disk.waiting:
            self.home.disk.release("badly")
            self.loop.settle()
        self._release("writes")
        self._stop(slowly=False)

    @precondition(lambda self: self.home.is_loaded)
    @rule(id_=invoices)
    def heard_while_written(self, id_: str) -> None:
        """A payment is heard before the disk has its turn, and is written as it was before that."""
        self._do(f"{id_} is paid and heard while it is written, and then there is a power cut")
        self.home.disk.is_held = True
        self._push(id_, "is paid")
        self._pass(HEARD_AFTER)
        if self.home.disk.waiting:
            self.home.disk.release()
            self.loop.settle()
        self._die()

    @rule(entry_is_older=st.booleans(), slowly=slow_starts)
    def kill(self, *, entry_is_older: bool, slowly: bool) -> None:
        """Everything but the disk is lost; Home Assistant begins again."""
        self._do(f"a power cut, {'with' if entry_is_older else 'without'} an older entry")
        self.checks.note_end()
        self.home.kill(entry_is_older=entry_is_older)
        self._begin_again(slowly=slowly)

    @rule(slowly=slow_starts)
    def stop(self, *, slowly: bool) -> None:
        """Home Assistant is stopped in an orderly way, and begins again."""
        self._do("Home Assistant is stopped, and begins again")
        self._stop(slowly=slowly)

    @precondition(lambda self: self.home.hass.state.value == "STARTING")
    @rule()
    def started(self) -> None:
        """Home Assistant has started."""
        self._do("Home Assistant has started")
        self.home.started()

    @precondition(lambda self: self.home.is_loaded)
    @rule(
        is_there=st.booleans(),
        # All of them are few sets: then nothing is left but what was shown of the account.
        ids=st.sets(invoices) | st.just({*INVOICES}),
        mood=st.sampled_from(["the truth", "a refusal"]),
        slowly=slow_starts,
    )
    def lose_file(self, *, is_there: bool, ids: set[str], mood: str, slowly: bool) -> None:
        """Invoices are deleted; Home Assistant is stopped, and the account's file is lost."""
        lost = "damaged" if is_there else "gone"
        deleted = ", ".join(sorted(ids)) or "nothing"
        self._do(f"{deleted} is deleted, then the file is {lost}, and the start gets {mood}")
        for id_ in sorted(ids):
            self._delete(id_)
        self.checks.note_end()
        self.home.stop()
        self.home.lose_file(is_there=is_there)
        self.checks.note_loss()
        self.world.mood = mood
        self._begin_again(slowly=slowly)

    @precondition(lambda self: self.home.is_loaded)
    @rule(id_=invoices, jump=st.sampled_from([JUMPS[0], JUMPS[-1]]))
    def is_paid_late(self, id_: str, jump: timedelta) -> None:
        """An invoice expires, the clock is set while Home Assistant is down, then it is paid."""
        hours = jump.total_seconds() / 3600
        self._do(f"{id_} expires, a start finds the clock set by {hours:g} hours, {id_} is paid")
        self._push(id_, "expires")
        self._pass(2.5)
        self.checks.note_end()
        self.home.stop()
        self.loop.wall_offset += jump
        self._begin_again(slowly=False)
        self._pass(8000)
        self.world.happen(id_, EVENTS["is paid"], self.loop.passed)

    # What is done more often than the rest: each name is one more chance.
    time_passes_2 = time_passes_3 = time_passes_4 = time_passes
    hold_2 = hold
    one_goes_on_2 = one_goes_on_3 = one_goes_on
    stop_2 = stop
    started_2 = started_3 = started_4 = started
    is_paid_late_2 = is_paid_late
