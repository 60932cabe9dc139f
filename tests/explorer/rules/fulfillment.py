"""What somebody does with what is owed."""

from hypothesis.stateful import precondition, rule

from tests.explorer.steps import HEARD_AFTER, Steps, invoices


class FulfillmentRules(Steps):
    """Payments that are fulfilled, whatever goes on beside."""

    # What is taken back is doubted until then.
    _BELIEVED_AFTER = 125.0

    @precondition(lambda self: self.home.is_loaded and self.home.entry.runtime_data.book.items.owed)
    @rule(id_=invoices)
    def fulfill(self, id_: str) -> None:
        """Somebody ticks what is owed; the script that does it may be stopped later."""
        owed = self.home.entry.runtime_data.book.items.owed
        id_ = id_ if id_ in owed else next(iter(owed))
        self._do(f"{id_} is fulfilled")
        self.home.start(self.checks.fulfilled.async_fulfill(id_))

    @precondition(lambda self: self.home.is_loaded)
    @rule(id_=invoices)
    def fulfill_in_a_run_and_die(self, id_: str) -> None:
        """An automation fulfills a payment, and a power cut comes before its run has ended."""
        self._do(f"{id_} is paid, fulfilled in the middle of a run, and there is a power cut")
        self.home.actions.is_held = True
        self._push(id_, "is paid")
        for owed in tuple(self.home.entry.runtime_data.book.items.owed):
            self.home.start(self.checks.fulfilled.async_fulfill(owed))
        self._die()

    @precondition(lambda self: self.home.is_loaded)
    @rule(id_=invoices)
    def stand_after_all(self, id_: str) -> None:
        """A payment that was heard is taken back, stands after all while that is heard, and there is a power cut."""
        self._do(f"{id_} is paid, taken back, and stands after all when there is a power cut")
        self._push(id_, "is paid")
        self._pass(HEARD_AFTER)
        self.home.actions.is_held = True
        if self.home.is_loaded:
            self._push(id_, "is taken back")
        self._pass(self._BELIEVED_AFTER)
        if self.home.is_loaded:
            self._push(id_, "is paid")
        self._die()
