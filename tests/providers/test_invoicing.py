"""What can be asked for, whatever the provider."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, strategies as st
import pytest

from custom_components.crypto_invoices.providers.new_invoice import (
    Flaw,
    InvalidField,
    NewInvoice,
    read_asked_amount,
)


def new(**changes: Any) -> NewInvoice:
    """Return a request for five euros, with changes."""
    return NewInvoice(**{"amount": Decimal(5), "currency": "EUR", **changes})


def flaw_of(err: pytest.ExceptionInfo[InvalidField]) -> tuple[str, str, int | None]:
    """Return what is wrong, and where."""
    return err.value.field, err.value.flaw, err.value.limit


@pytest.mark.parametrize(
    ("text", "amount"), [("5", "5"), (" 12.50\n", "12.50"), ("0.00000001", "1E-8"), ("-3", "-3")]
)
def test_amount_as_written(text: str, amount: str) -> None:
    """A plain number is read exactly, with the zeros that were written."""
    assert str(read_asked_amount(text)) == amount


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5,00",
        "1e3",
        "1E-2",
        "NaN",
        "Infinity",
        "0x10",
        "1_000",
        "1 000",
        "\u0665",
        "5.",
        ".5",
        "€5",
    ],
)
def test_not_an_amount(text: str) -> None:
    """What could be read in more than one way isn't read at all."""
    with pytest.raises(InvalidField) as err:
        read_asked_amount(text)
    assert flaw_of(err) == ("amount", Flaw.NOT_A_NUMBER, None)


@pytest.mark.parametrize(
    ("changes", "flaw"),
    [
        ({"amount": Decimal(0)}, ("amount", Flaw.NOT_POSITIVE, None)),
        ({"amount": Decimal("-0.01")}, ("amount", Flaw.NOT_POSITIVE, None)),
        ({"amount": Decimal("NaN")}, ("amount", Flaw.NOT_A_NUMBER, None)),
        ({"amount": Decimal("sNaN")}, ("amount", Flaw.NOT_A_NUMBER, None)),
        ({"amount": Decimal("Infinity")}, ("amount", Flaw.NOT_A_NUMBER, None)),
        ({"amount": Decimal("1E+3")}, ("amount", Flaw.NOT_A_NUMBER, None)),
        ({"amount": Decimal(10) ** 20}, ("amount", Flaw.TOO_LARGE, None)),
        ({"amount": Decimal("0." + "1" * 30)}, ("amount", Flaw.TOO_MANY_DECIMALS, 18)),
        ({"currency": ""}, ("currency", Flaw.EMPTY, None)),
        ({"currency": "E" * 21}, ("currency", Flaw.TOO_LONG, 20)),
        ({"order_id": " "}, ("order_id", Flaw.EMPTY, None)),
        ({"order_id": "x" * 10_000}, ("order_id", Flaw.TOO_LONG, 255)),
        ({"order_id": "€" * 86}, ("order_id", Flaw.TOO_LONG, 255)),
        ({"order_id": "a\nb"}, ("order_id", Flaw.UNPRINTABLE, None)),
        ({"order_id": "\x00"}, ("order_id", Flaw.UNPRINTABLE, None)),
        ({"order_id": "\ud83d"}, ("order_id", Flaw.UNPRINTABLE, None)),
        ({"description": "x" * 640}, ("description", Flaw.TOO_LONG, 639)),
        ({"description": "\x1b[31m"}, ("description", Flaw.UNPRINTABLE, None)),
        ({"lifetime": timedelta(0)}, ("lifetime", Flaw.NOT_POSITIVE, None)),
        ({"lifetime": timedelta(days=-1)}, ("lifetime", Flaw.NOT_POSITIVE, None)),
        ({"lifetime": timedelta.max}, ("lifetime", Flaw.TOO_LONG, 365)),
    ],
)
def test_refused_everywhere(changes: dict[str, Any], flaw: tuple[str, Flaw, int | None]) -> None:
    """What no provider could make doesn't even become a request."""
    with pytest.raises(InvalidField) as err:
        new(**changes)
    assert flaw_of(err) == flaw


def test_texts_of_any_script() -> None:
    """Names and descriptions may be in any language, descriptions in several lines."""
    made = new(order_id="Счёт № 7 🧾", description="Kaffee\nKuchen\n")
    made.check_for(supported={"order_id", "description"}, knows_currency=True, decimals=2)


@pytest.mark.parametrize(
    ("changes", "flaw"),
    [
        ({"amount": Decimal("0.001")}, ("amount", Flaw.TOO_MANY_DECIMALS, 2)),
        ({"amount": Decimal("5.000")}, ("amount", Flaw.TOO_MANY_DECIMALS, 2)),
        (
            {"amount": Decimal("500.5"), "currency": "JPY"},
            ("amount", Flaw.TOO_MANY_DECIMALS, 0),
        ),
        (
            {"amount": Decimal("0.000000001"), "currency": "BTC"},
            ("amount", Flaw.TOO_MANY_DECIMALS, 8),
        ),
        ({"description": "Coffee"}, ("description", Flaw.NOT_TAKEN, None)),
        ({"lifetime": timedelta(hours=1)}, ("lifetime", Flaw.NOT_TAKEN, None)),
        ({"payment_method": None}, ("payment_method", Flaw.NEEDED, None)),
    ],
)
def test_refused_for_a_provider(
    changes: dict[str, Any], flaw: tuple[str, Flaw, int | None]
) -> None:
    """A provider's own limits are held too."""
    made = new(**{"payment_method": "ETHER", **changes})
    with pytest.raises(InvalidField) as err:
        made.check_for(
            supported={"payment_method"}, needs={"payment_method"}, knows_currency=True, decimals=2
        )
    assert flaw_of(err) == flaw


def test_unknown_currency() -> None:
    """The provider says which currencies it knows."""
    with pytest.raises(InvalidField) as err:
        new(currency="eur").check_for(supported=(), knows_currency=False, decimals=2)
    assert flaw_of(err) == ("currency", Flaw.UNKNOWN, None)


@pytest.mark.parametrize(
    ("amount", "currency"), [("500.0", "JPY"), ("5.0", "EUR"), ("5.10", "EUR"), ("1.125", "KWD")]
)
def test_as_exact_as_the_currency(amount: str, currency: str) -> None:
    """What a template makes of a whole number is one, and some currencies have three decimals."""
    new(amount=Decimal(amount), currency=currency).check_for(
        supported=(), knows_currency=True, decimals=2
    )


@given(amount=st.decimals(), order_id=st.text(), lifetime=st.timedeltas())
def test_anything_else(amount: Decimal, order_id: str, lifetime: timedelta) -> None:
    """Whatever is asked for is either refused with a reason, or can be sent as it is."""
    try:
        made = new(amount=amount, order_id=order_id, lifetime=lifetime)
    except InvalidField:
        return
    assert Decimal(f"{made.amount:f}") == made.amount > 0
    assert "e" not in f"{made.amount:f}".lower()
    assert made.order_id
    assert made.order_id.encode()
