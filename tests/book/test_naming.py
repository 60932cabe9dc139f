"""Names that tell invoices apart, whatever somebody chose as an order ID."""

from decimal import Decimal

from hypothesis import given, strategies as st
import pytest

from custom_components.crypto_invoices.book.naming import Names, base_name
from custom_components.crypto_invoices.book.record import Money, Record
from custom_components.crypto_invoices.money import written
from custom_components.crypto_invoices.providers.model import InvoiceStatus

HASH = "5e1f0c" + "0123456789abcdef" * 3 + "00003f9a2b"


def invoice(
    invoice_id: str = HASH,
    order_id: str | None = None,
    memo: str | None = None,
    amount: str | None = "24.9",
) -> Record:
    """Return an invoice."""
    status = InvoiceStatus.PENDING
    asked = None if amount is None else Money(Decimal(amount), "EUR")
    return Record(
        id=invoice_id, order_id=order_id, memo=memo, asked=asked, status=status, announced=status
    )


def names_of(*records: Record) -> list[str]:
    """Return what these are called beside each other."""
    names = Names(
        {record.id: record for record in records},
        lambda record: base_name(record, "Invoice {id}", may_use_memo=True),
        lambda money: written(*money, "en"),
    )
    return [names.name(record) for record in records]


@pytest.mark.parametrize(
    ("order_id", "memo", "name"),
    [
        pytest.param("Coffee beans, 2 kg", None, "Coffee beans, 2 kg", id="order ID"),
        pytest.param("Order 7", "Two coffees", "Order 7", id="order ID before memo"),
        pytest.param(None, "Two coffees", "Two coffees", id="memo"),
        pytest.param(None, None, "Invoice 3f9a2b", id="end of the ID"),
        pytest.param("", " \n", "Invoice 3f9a2b", id="nothing but space"),
        pytest.param("1042", None, "Invoice 1042", id="a number is no name"),
        pytest.param("🎁", None, "Invoice 🎁", id="nor is an emoji"),
        pytest.param("Gift 🎁👩‍🍳", None, "Gift 🎁👩‍🍳", id="emoji"),
        pytest.param("قهوة", None, "قهوة", id="right to left"),
        pytest.param("\u202eeeffoC\u202c", None, "eeffoC", id="turned around"),
        pytest.param("<b>Order</b>", None, "<b>Order</b>", id="HTML is text"),
        pytest.param("two\nlines\there", None, "two lines here", id="one line"),
        pytest.param("x" * 20_000, None, "x" * 59 + "…", id="too long"),
        pytest.param(HASH, None, "Invoice 3f9a2b", id="a hash is no name"),
        pytest.param(f"Order {HASH}", None, "Order 3f9a2b", id="a hash in a name"),
    ],
)
def test_one(order_id: str | None, memo: str | None, name: str) -> None:
    """An invoice is called by what people know of it."""
    assert names_of(invoice(order_id=order_id, memo=memo)) == [name]


def test_memo_is_private() -> None:
    """A memo is no name unless a user allows it."""
    one = invoice(memo="For Alice")
    assert base_name(one, "Invoice {id}", may_use_memo=False) == "Invoice 3f9a2b"


@pytest.mark.parametrize(
    ("first", "second", "names"),
    [
        (("5", "Order"), ("1", "Other"), ["Order", "Other"]),
        (("5", "Order"), ("1", "Order"), ["Order · €5.00", "Order · €1.00"]),
        (("5", "Order"), ("5", "Order"), ["Order · €5.00 · AAAAAA", "Order · €5.00 · BBBBBB"]),
        ((None, "Order"), (None, "Order"), ["Order · AAAAAA", "Order · BBBBBB"]),
        ((None, "Order"), ("1", "Order"), ["Order", "Order · €1.00"]),
        (
            ("5", "x" * 70),
            ("1", "x" * 70),
            ["x" * 51 + "… · €5.00", "x" * 51 + "… · €1.00"],
        ),
        (
            ("9" * 90, "Order"),
            ("1", "Order"),
            ["Order · €999,999,999,999,999,99…", "Order · €1.00"],
        ),
    ],
)
def test_two(
    first: tuple[str | None, str], second: tuple[str | None, str], names: list[str]
) -> None:
    """Two that would be called the same have their amounts, or else the ends of their IDs."""
    found = names_of(
        invoice("1AAAAAA", first[1], amount=first[0]),
        invoice("1BBBBBB", second[1], amount=second[0]),
    )
    assert found == names


def test_follows() -> None:
    """A name follows its invoice, and those that would have the same."""
    first, second = invoice("AAAAAA", "Order"), invoice("BBBBBB", "Order", amount="1")
    records = {"AAAAAA": first}
    names = Names(records, lambda one: one.order_id or "", lambda money: written(*money, "en"))
    records["BBBBBB"] = second
    assert names.compare() == {"AAAAAA", "BBBBBB"}
    assert names.name(first) == "Order · €24.90"
    second.order_id = "Other"
    assert names.follow(["BBBBBB", "CCCCCC"]) == {"AAAAAA", "BBBBBB"}
    assert [names.name(first), names.name(second)] == ["Order", "Other"]
    second.order_id = "Order"
    names.follow(["BBBBBB"])
    del records["BBBBBB"]
    assert names.compare() == {"AAAAAA"}
    assert names.name(first) == "Order"
    # What doesn't name it renames nothing.
    first.status = InvoiceStatus.PAID
    assert names.follow(["AAAAAA"]) == set()
    first.has_device = False
    assert names.compare() == set()


@given(
    st.lists(
        st.tuples(st.text(max_size=80) | st.none(), st.text(max_size=80) | st.none()), max_size=6
    )
)
def test_always(texts: list[tuple[str | None, str | None]]) -> None:
    """Every name is one line of 1 to 60 characters, without a hash, and none is there twice."""
    records = [
        invoice(f"{HASH}{number:06}", order_id, memo)
        for number, (order_id, memo) in enumerate(texts)
    ]
    names = names_of(*records)
    assert len(set(names)) == len(names)
    for name in names:
        assert 0 < len(name) <= 60
        assert "\n" not in name
        assert HASH not in name
