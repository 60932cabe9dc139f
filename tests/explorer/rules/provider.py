"""What happens at the provider, and what it answers."""

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from custom_components.crypto_invoices.book.transitions import is_step_back
from custom_components.crypto_invoices.providers.model import InvoiceStatus as S
from tests.explorer.steps import Steps, events, invoices
from tests.explorer.world import ANSWERS, EVENTS

# What may follow on news: most often that they are not known yet.
_OLD_NEWS = ("yesterday's state", "yesterday's state", "an unknown word")


class ProviderRules(Steps):
    """Payments, hints, and answers that are late, old, partial or none."""

    @rule(id_=invoices, what=events)
    def something_happens(self, id_: str, what: str) -> None:
        """Something happens to an invoice at the provider."""
        self._do(f"{id_} {what}")
        self.world.happen(id_, EVENTS[what], self.loop.passed)

    @rule(id_=invoices)
    def is_paid(self, id_: str) -> None:
        """An invoice is paid, and the provider hints at it or doesn't."""
        self._do(f"{id_} is paid")
        self.world.happen(id_, EVENTS["is paid"], self.loop.passed)

    @precondition(lambda self: self.home.is_loaded)
    @rule(id_=invoices, what=events)
    def something_is_pushed(self, id_: str, what: str) -> None:
        """Something happens, and the provider says so."""
        self._do(f"{id_} {what}, with a hint")
        self._push(id_, what)

    @precondition(lambda self: self.home.is_loaded)
    @rule(ids=st.sets(invoices), is_trusted=st.booleans())
    def hint(self, ids: set[str], *, is_trusted: bool) -> None:
        """A hint comes, with news or without, and with IDs that nobody knows."""
        kind = "signed" if is_trusted else "forged"
        named = " and ".join([*sorted(ids), "one that nobody knows"])
        self._do(f"a {kind} hint at {named}")
        self.home.hint([*sorted(ids), "unknown"], is_trusted=is_trusted)

    @rule(mood=st.sampled_from(ANSWERS))
    def provider_answers_with(self, mood: str) -> None:
        """From now on the provider answers with this."""
        self._do(f"the provider answers with {mood} from now on")
        self.world.mood = mood

    @precondition(lambda self: self.world.mood != "the truth")
    @rule()
    def provider_recovers(self) -> None:
        """From now on the provider answers with the truth again."""
        self._do("the provider answers with the truth again")
        self.world.mood = "the truth"

    @precondition(lambda self: self.home.is_loaded)
    @rule(id_=invoices, how=st.sampled_from(ANSWERS))
    def one_answer_is(self, id_: str, how: str) -> None:
        """A hint is answered with this, once."""
        self._do(f"a hint at {id_} is answered with {how}")
        self._answer_hint(id_, how)

    @precondition(lambda self: self.world.questions)
    @rule(how=st.sampled_from(ANSWERS), latest=st.booleans())
    def answer_one(self, how: str, *, latest: bool) -> None:
        """Answer one question that waits, the oldest or the latest first."""
        self._do(f"the {'latest' if latest else 'oldest'} question is answered with {how}")
        self.world.release(self.world.questions[-1 if latest else 0], how)
        self.loop.settle()

    @precondition(lambda self: self.home.is_loaded)
    @rule(id_=invoices, what=events)
    def two_answers_overlap(self, id_: str, what: str) -> None:
        """Something happens between two questions, and the first is answered last."""
        self._do(f"{id_} {what} while it is read, and an older answer comes last")
        self.world.is_held = True
        self._pass(31)
        self._push(id_, what)
        self.checks.after_step()
        self.world.is_held = False
        records, known = self.home.entry.runtime_data.book.records, S.PENDING
        while self.world.questions:
            self.world.release(self.world.questions[-1], "the truth")
            self.loop.settle()
            if (record := records.get(id_)) is not None:
                goes_back = is_step_back(known, record.status)
                assert not goes_back, f"{id_} was {known}, an older answer made it {record.status}"
                known = record.status

    @precondition(lambda self: self.home.is_loaded)
    @rule(id_=invoices, what=events, how=st.sampled_from(_OLD_NEWS))
    def news_are_followed_by_old_ones(self, id_: str, what: str, how: str) -> None:
        """Something happens and is read, and the next answer doesn't know of it."""
        self._do(f"{id_} {what}, with a hint, and the next answer is {how}")
        self._push(id_, what)
        self._pass(2.1)
        self._answer_hint(id_, how)

    @precondition(lambda self: self.home.is_loaded)
    @rule()
    def key_is_refused(self) -> None:
        """The key is refused for a moment, and good again."""
        self._do("the key is refused once, and more than an hour passes")
        for what in ("answers", "reads", "writes"):
            self._release(what)
        self.world.mood = "a refusal"
        self._pass(31)
        self.world.mood = "the truth"
        self._pass(4000)
        if self.home.is_loaded:
            self.checks.is_read_again()

    # What is done more often than the rest: each name is one more chance.
    is_paid_2 = is_paid
    something_is_pushed_2 = something_is_pushed_3 = something_is_pushed
    one_answer_is_2 = one_answer_is_3 = one_answer_is
    answer_one_2 = answer_one_3 = answer_one
    two_answers_overlap_2 = two_answers_overlap
    news_are_followed_by_old_ones_2 = news_are_followed_by_old_ones
