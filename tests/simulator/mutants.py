"""Faults that need time or size to show: planted like the explorer's, found by whole shops."""

import os
import re
import sys

from tests.explorer.mutants import MUTANTS as EXPLORED, Mutant, hunt, run_planted

# How many days a shop has to be open until it can show.
DAYS = {
    "nothing is cleaned up": 14,
    "what was removed is remembered for ever": 40,
    "what was removed stays in the registry for ever": 40,
    "what was never paid is polled for ever": 14,
    "what was carried is lost with a restart": 14,
    "the list goes back a day only": 14,
    "a provider that is down is asked as often as before": 14,
    "each list that fails is logged": 14,
    "cleaned up by the clock on the wall": 14,
}
MUTANTS = (
    Mutant(
        "nothing is cleaned up",
        "upkeep/cleanup.py",
        "    if days:\n",
        "    if days > 365:\n",
    ),
    Mutant(
        "what was removed is remembered for ever",
        "book/book.py",
        "        self._unwritten.forget_before = moment\n",
        "",
    ),
    Mutant(
        "what was removed stays in the registry for ever",
        "upkeep/cleanup.py",
        "        async_forget_removed(hass, entry)\n",
        "",
    ),
    Mutant(
        "what was never paid is polled for ever",
        "reading/schedule.py",
        "        return _GRACE_INTERVAL if is_watched else None\n",
        "        return _GRACE_INTERVAL if is_watched else 6 * _HOUR\n",
    ),
    Mutant(
        "what was carried is lost with a restart",
        "book/rows.py",
        '        found.carried[money.currency] = Carried(money, row["number"])\n',
        "        pass\n",
    ),
    Mutant(
        "sums are rounded",
        "book/sums.py",
        "_EXACT = Context(prec=500)\n",
        "_EXACT = Context(prec=6)\n",
    ),
    Mutant(
        "a day begins when it does in Greenwich",
        "sensor/account.py",
        "    value_fn=lambda account: account.book.sums.paid_since(dt_util.start_of_local_day()),\n",
        "    value_fn=lambda account: account.book.sums.paid_since(\n"
        "        dt_util.utcnow().replace(hour=0, minute=0, second=0, microsecond=0)\n"
        "    ),\n",
    ),
    Mutant(
        "a day ends with the next payment",
        "sensor/account.py",
        "        if (since := self.last_reset) != self._shown_since:\n",
        "        if (since := self.last_reset) < self._shown_since:\n",
    ),
    Mutant(
        "the list goes back a day only",
        "upkeep/horizon.py",
        "        start = max(min(listed_to, now) - OVERLAP, now - REMEMBERED_FOR)\n",
        "        start = max(min(listed_to, now) - OVERLAP, now - timedelta(days=1))\n",
    ),
    Mutant(
        "a provider that is down is asked as often as before",
        "reading/back_off.py",
        "            longest = min(self._first * 2.0**self.failures, self._longest)\n",
        "            longest = min(self._first, self._longest)\n",
    ),
    Mutant(
        "each list that fails is logged",
        "upkeep/lister.py",
        "        if not self._back_off.failures and isinstance(err, ProviderError):\n",
        "        if isinstance(err, ProviderError):\n",
    ),
    Mutant(
        "what was fulfilled is owed again after a start",
        "book/rows.py",
        '        fulfilled_at=_read_time(row["item_fulfilled_at"]),\n',
        "        fulfilled_at=None,\n",
    ),
)


# What needs neither shows where much goes on at once: a week's events in a day.
# What is forgotten with each start, though, shows where there is none.
_ONE_LIFE = frozenset({"a refused key is final"})
# In seconds, for each shop: a fault may keep one busy for ever.
_PATIENCE = 240.0
_DENSE = ("--days", "1", "--pace", "7")


def _days(mutant: Mutant) -> tuple[str, ...]:
    """Return for how long shops are open in which it is sought."""
    if mutant in EXPLORED and mutant.name not in DAYS:
        return _DENSE
    return "--days", str(DAYS.get(mutant.name, 3))


def seeds_until_found(mutant: Mutant, most: int) -> int | None:
    """Return how many shops it took to find a fault, None if it wasn't."""
    printed = run_planted(
        mutant,
        "tests.simulator",
        "--seeds",
        str(most),
        *_days(mutant),
        *(("--one-life",) if mutant.name in _ONE_LIFE else ()),
        "--until-failure",
        "--no-story",
        "--output",
        "figures.json",
        timeout=_PATIENCE * most,
        PYTHONHASHSEED="0",
    )
    told = re.findall(r"^seed \d+: .*$", printed, re.MULTILINE)
    # One that ends without a word ends badly, too, and one that doesn't end.
    if told and "FAILED" in told[-1]:
        return len(told)
    return None if len(told) == most else len(told) + 1


if __name__ == "__main__":
    hunt(
        (*MUTANTS, *EXPLORED),
        set(sys.argv[1:]),
        int(os.environ.get("SEEDS", "5")),
        seeds_until_found,
        "mutants.simulator",
    )
