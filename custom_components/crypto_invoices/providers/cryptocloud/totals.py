"""CryptoCloud's balances and statistics, as version 2 of its API writes them."""

from decimal import Context, Decimal

from ..capabilities import Statistics, Total
from ..model import BadResponse, Balance
from ..parse import read_amount, read_object, read_text
from .project import read_success

# Twice the digits of the longest amount that is read.
_EXACT = Context(prec=130)


def parse_balances(payload: object) -> tuple[Balance, ...]:
    """Return the balances of an answer, those of one coin in several networks as one."""
    rows = read_success(payload, "the balance").get("result")
    if not isinstance(rows, list):
        raise BadResponse("the answer has no list of balances")
    held: dict[str, Decimal] = {}
    for row in rows:
        coin = row.get("currency") if isinstance(row, dict) else None
        if not isinstance(coin, dict):
            continue
        code = read_text(coin.get("short_code")) or read_text(coin.get("code"))
        amount = read_amount(row.get("balance_crypto"))
        if code is not None and amount is not None:
            held[code] = _EXACT.add(held.get(code, Decimal(0)), amount)
    return tuple(Balance(amount=amount, currency=code) for code, amount in held.items())


def parse_statistics(payload: object) -> Statistics:
    """Return the counts and sums of an answer, in dollars."""
    result = read_object(read_success(payload, "the statistics").get("result"), "result")
    counts = read_object(result.get("count"), "count")
    amounts = read_object(result.get("amount"), "amount")
    totals: dict[str, Total] = {}
    for word, count in counts.items():
        number = read_amount(count)
        if number is None or number != number.to_integral_value():
            raise BadResponse("a count is not a whole number")
        # One that is left out, or null, is of nothing.
        amount = Decimal(0) if amounts.get(word) is None else read_amount(amounts[word])
        if amount is None:
            raise BadResponse("a sum is not an amount")
        totals[word] = Total(count=int(number), amount=amount)
    return Statistics(currency="USD", totals=totals)
