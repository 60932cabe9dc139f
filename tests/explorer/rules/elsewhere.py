"""What happens to invoices that are made elsewhere, and to the watching of the account."""

from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.explorer.steps import Steps, events
from tests.explorer.world import ELSEWHERE, EVENTS, INVOICES

_mostly = st.sampled_from([True, True, True, False])
_hints = st.sampled_from([None, None, "signed", "forged"])
# How long an account may be down: longer than what is listed in one go.
_DOWN_FOR = timedelta(days=5)


class ElsewhereRules(Steps):
    """Invoices that somebody makes elsewhere, hints at them, and a list that has them late."""

    was_down = False

    @precondition(lambda self: self.home.is_loaded and self.has_more)
    @rule(
        is_paid=st.booleans(),
        is_dated=_mostly,
        is_wanted=_mostly,
        is_late=st.booleans(),
        hint=_hints,
    )
    def is_made_elsewhere(
        self, *, is_paid: bool, is_dated: bool, is_wanted: bool, is_late: bool, hint: str | None
    ) -> None:
        """An invoice is made elsewhere, and paid immediately or not."""
        words = [
            "made elsewhere",
            *(["for another order"] if not is_wanted else []),
            *(["without a date"] if not is_dated else []),
            *(["listed ten minutes late"] if is_late else []),
            *(["paid immediately"] if is_paid else []),
            *([f"hinted at with a {hint} hint"] if hint else []),
        ]
        self._do(f"{self.next_elsewhere} is {', '.join(words)}")
        id_ = self._make(is_late=is_late, is_dated=is_dated, is_wanted=is_wanted)
        if is_paid:
            self.world.happen(id_, EVENTS["is paid"], self.loop.passed)
        if hint:
            self.home.hint([id_], is_trusted=hint == "signed")

    @precondition(lambda self: self.home.is_loaded and self.world.made)
    @rule(number=st.integers(0, len(ELSEWHERE) - 1), what=events, hint=_hints)
    def something_happens_elsewhere(self, number: int, what: str, hint: str | None) -> None:
        """Something happens to an invoice that was made elsewhere."""
        id_ = self.world.made[number % len(self.world.made)]
        self._do(f"{id_} {what}, {f'with a {hint} hint' if hint else 'without a hint'}")
        self.world.happen(id_, EVENTS[what], self.loop.passed)
        if hint:
            self.home.hint([id_], is_trusted=hint == "signed")

    @precondition(lambda self: self.home.is_loaded and self.world.made)
    @rule(number=st.integers(0, len(ELSEWHERE) - 1))
    def delete_elsewhere(self, number: int) -> None:
        """The device of an invoice that was made elsewhere is deleted, if it has one."""
        id_ = self.world.made[number % len(self.world.made)]
        self._do(f"{id_} is deleted")
        self._delete(id_)

    @rule(on=st.booleans())
    def switch_watching(self, *, on: bool) -> None:
        """Automatic watching is switched on or off."""
        self._do(f"automatic watching is switched {'on' if on else 'off'}")
        self._switch_watching(on=on)

    def _switch_watching(self, *, on: bool) -> None:
        """Switch automatic watching on or off."""
        if on is not self.home.is_auto_watched:
            self.checks.note_watching_switched()
        self.home.set_options(auto_watch=on, order_id=self.order_id)

    @precondition(lambda self: self.home.is_loaded and self.has_more and not self.was_down)
    @rule()
    def is_paid_while_down(self) -> None:
        """An invoice is made and paid elsewhere while Home Assistant is down for days."""
        self._do(f"Home Assistant is down for days, and {self.next_elsewhere} is made and paid")
        # Twice would be long enough to clean up what ended before.
        self.was_down = True
        self.checks.note_end()
        self.home.stop()
        id_ = self._make()
        self.world.happen(id_, EVENTS["is paid"], self.loop.passed)
        self.loop.passed += _DOWN_FOR.total_seconds()
        self._begin_again(slowly=False)

    @precondition(lambda self: self.home.is_loaded and not self.was_down)
    @rule()
    def is_not_known_at_first(self) -> None:
        """What expired is paid while Home Assistant is down, and not found when that starts."""
        id_ = INVOICES[0]
        self._do(f"{id_} expires, is paid while Home Assistant is down for days, and not found")
        self.was_down = True
        self._push(id_, "expires")
        self._pass(2.5)
        self.checks.note_end()
        self.home.stop()
        self.world.happen(id_, EVENTS["is paid"], self.loop.passed)
        self.loop.passed += _DOWN_FOR.total_seconds()
        before, self.world.mood = self.world.mood, "a part"
        self._begin_again(slowly=False)
        self._pass(31)
        self.world.mood = before

    @precondition(lambda self: self.home.is_loaded and self.has_room_for_two)
    @rule(jump=st.sampled_from([timedelta(days=-10), timedelta(days=10)]))
    def is_paid_at_a_wrong_time(self, jump: timedelta) -> None:
        """It is switched on anew; an invoice is paid, and the clock is wrong when it is listed."""
        days = f"{jump.days} days"
        self._do(f"{self.next_elsewhere} is there first, the next is paid, the clock set by {days}")
        self._switch_watching(on=False)
        self._make()
        self._switch_watching(on=True)
        self._pass(31)
        self.checks.after_step()
        id_ = self._make()
        self.world.happen(id_, EVENTS["is paid"], self.loop.passed)
        self.loop.wall_offset += jump
        self._pass(31)
        self.loop.wall_offset -= jump

    @precondition(lambda self: self.home.is_loaded and self.has_room_for_two)
    @rule(is_paid=st.booleans())
    def is_listed_late(self, *, is_paid: bool) -> None:
        """An invoice is listed after another one that was made later."""
        words = "paid, and " if is_paid else ""
        self._do(f"{self.next_elsewhere} is made elsewhere, {words}listed after the next one")
        id_ = self._make(is_late=True)
        if is_paid:
            self.world.happen(id_, EVENTS["is paid"], self.loop.passed)
        self._pass(2.5)
        self._make()
        self._pass(1000)

    @precondition(lambda self: self.home.is_loaded and self.has_more)
    @rule(hint=_hints)
    def is_paid_while_listed(self, hint: str | None) -> None:
        """An invoice is paid while a list with it is under way, and that answer comes last."""
        self._do(f"{self.next_elsewhere} is made elsewhere, and paid while it is listed")
        id_ = self._make()
        self.world.is_held = True
        self._pass(31)
        self.world.happen(id_, EVENTS["is paid"], self.loop.passed)
        self.home.hint([id_], is_trusted=hint == "signed")
        self.checks.after_step()
        self.world.is_held = False
        while self.world.questions:
            self.world.release(self.world.questions[-1], "the truth")
            self.loop.settle()

    # What is done more often than the rest: each name is one more chance.
    is_made_elsewhere_2 = is_made_elsewhere
    something_happens_elsewhere_2 = something_happens_elsewhere
    is_listed_late_2 = is_listed_late
