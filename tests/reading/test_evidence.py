"""What is believed of a reading, by what it says and when it was asked."""

from dataclasses import dataclass

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.crypto_invoices.book.transitions import is_step_back
from custom_components.crypto_invoices.providers.model import InvoiceStatus as S
from custom_components.crypto_invoices.reading.evidence import DOUBTED_FOR, Doubt, Verdict, judge

BELIEVED, DOUBTED, IGNORED = Verdict

# What was known, what is said now, and what becomes of that where it was asked for
# before the latest answer was received, after it, and two minutes after it was first said.
TABLE = [
    # What an invoice comes to next is believed, however old the answer is.
    (S.PENDING, S.PROCESSING, BELIEVED, BELIEVED, BELIEVED),
    (S.PENDING, S.PAID, BELIEVED, BELIEVED, BELIEVED),
    (S.PENDING, S.EXPIRED, BELIEVED, BELIEVED, BELIEVED),
    (S.PROCESSING, S.PARTIALLY_PAID, BELIEVED, BELIEVED, BELIEVED),
    (S.PARTIALLY_PAID, S.UNDERPAID, BELIEVED, BELIEVED, BELIEVED),
    (S.EXPIRED, S.PAID, BELIEVED, BELIEVED, BELIEVED),
    (S.CANCELED, S.EXPIRED, BELIEVED, BELIEVED, BELIEVED),
    (S.PAID, S.OVERPAID, BELIEVED, BELIEVED, BELIEVED),
    (S.UNKNOWN, S.PENDING, BELIEVED, BELIEVED, BELIEVED),
    # A step back has to be said again.
    (S.PROCESSING, S.PENDING, IGNORED, DOUBTED, BELIEVED),
    (S.PAID, S.PENDING, IGNORED, DOUBTED, BELIEVED),
    (S.PAID, S.PROCESSING, IGNORED, DOUBTED, BELIEVED),
    (S.PAID, S.EXPIRED, IGNORED, DOUBTED, BELIEVED),
    (S.PAID, S.REFUNDED, IGNORED, DOUBTED, BELIEVED),
    (S.OVERPAID, S.PAID, IGNORED, DOUBTED, BELIEVED),
    (S.EXPIRED, S.PENDING, IGNORED, DOUBTED, BELIEVED),
    # What is known already, and what nobody understands, is no news of an old answer.
    (S.PAID, S.PAID, IGNORED, BELIEVED, BELIEVED),
    (S.PENDING, S.PENDING, IGNORED, BELIEVED, BELIEVED),
    (S.PAID, S.UNKNOWN, IGNORED, BELIEVED, BELIEVED),
]


@pytest.mark.parametrize(("known", "said", "before", "after", "again"), TABLE)
def test_table(known: S, said: S, before: Verdict, after: Verdict, again: Verdict) -> None:
    """Evidence counts by its time."""
    doubt = Doubt(since=100.0)
    for asked, doubted, verdict in (
        (99.9, None, before),
        (99.9, doubt, before),
        (100.0, None, after),
        (100.1, doubt, after),
        (99.9 + DOUBTED_FOR, doubt, after),
        (100.0 + DOUBTED_FOR, doubt, again),
    ):
        assert judge(known, said, asked=asked, known_at=100.0, doubt=doubted) is verdict


@dataclass(frozen=True)
class Said:
    """An answer: what was so when it was asked for, and how long it was on its way."""

    wait: float
    travels: float
    status: S


answers = st.lists(
    st.builds(
        Said,
        wait=st.sampled_from([0.0, 0.5, 3.0, 30.0, 119.0, 121.0, 600.0]),
        travels=st.sampled_from([0.1, 0.6, 9.0, 59.0]),
        status=st.sampled_from([S.PENDING, S.PROCESSING, S.PAID, S.OVERPAID, S.EXPIRED, S.UNKNOWN]),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=300)
@given(answers=answers)
def test_no_step_back_without_two_answers(answers: list[Said]) -> None:
    """Whatever overlaps, a step back takes two answers, two minutes apart, and none against it."""
    now, sent = 0.0, []
    for said in answers:
        now += said.wait
        sent.append((now + said.travels, now, said.status))
    known, known_at, doubt = S.PENDING, 0.0, None
    seen: list[tuple[float, float, S]] = []
    for received, asked, status in sorted(sent, key=lambda one: one[0]):
        verdict = judge(known, status, asked=asked, known_at=known_at, doubt=doubt)
        seen.append((asked, received, status))
        if verdict is DOUBTED:
            assert is_step_back(known, status)
            doubt = doubt or Doubt(received)
        if verdict is BELIEVED and status is not S.UNKNOWN:
            if is_step_back(known, status):
                assert any(
                    first <= asked - DOUBTED_FOR and is_step_back(known, said)
                    for _, first, said in seen
                )
            known, doubt = status, None
        if verdict is BELIEVED:
            known_at = max(known_at, received)
    # What is final and was said by anybody is not lost.
    if S.OVERPAID in [said.status for said in answers] and len(answers) == 1:
        assert known is S.OVERPAID
