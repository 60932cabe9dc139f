"""Faults to plant: what went wrong once, and must be found again."""

import ast
from collections.abc import Callable, Iterable, Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
import os
from pathlib import Path
import re
import shutil
from statistics import median
import subprocess
import sys
from tempfile import TemporaryDirectory

from tests.figures import keep

ROOT = Path(__file__).parents[2]
PACKAGE = Path("custom_components/crypto_invoices")


@dataclass(frozen=True, slots=True)
class Mutant:
    """A fault: one piece of code in place of another."""

    name: str
    file: str
    right: str
    wrong: str

    def planted_in(self, root: Path) -> str:
        """Return its file with the fault. Raises ValueError where today's code has no such piece."""
        text = (root / PACKAGE / self.file).read_text()
        if text.count(self.right) != 1:
            raise ValueError(f"{self.name}: not exactly once in {self.file}")
        planted = text.replace(self.right, self.wrong)
        ast.parse(planted)
        return planted


MUTANTS = (
    Mutant(
        "what fails is not planned again",
        "reading/lease.py",
        "            if answers is None:\n                self.make_due(wanted)\n",
        "            if answers is None:\n                for one in wanted:\n                    one.plan(None)\n",
    ),
    Mutant(
        "an overlapping answer is believed backwards",
        "reading/evidence.py",
        "    if overlaps:\n        return Verdict.IGNORED\n",
        "    if overlaps:\n        return Verdict.BELIEVED\n",
    ),
    Mutant(
        "a doubt is believed immediately",
        "reading/evidence.py",
        "    if doubt is not None and asked >= doubt.until:\n",
        "    if True:\n",
    ),
    Mutant(
        "what is written shares its counts",
        "book/transitions.py",
        "    record.counts = record.counts + Counter([transition.counted_as])\n",
        "    record.counts[transition.counted_as] += 1\n",
    ),
    Mutant(
        "one answer says that it is gone for good",
        "reading/interval.py",
        "        and one.problem.has_lasted(GRACE, now)\n",
        "",
    ),
    Mutant(
        "a doubt is never believed",
        "reading/evidence.py",
        "    if doubt is not None and asked >= doubt.until:\n",
        "    if False:\n",
    ),
    Mutant(
        "an announcement is done before it is delivered",
        "delivery/deliveries.py",
        "            is_heard = all(await asyncio.gather(*hearing))\n",
        "            await asyncio.sleep(0)\n",
    ),
    Mutant(
        "an automation that is being saved is not expected",
        "delivery/listeners.py",
        "        if not owner.may_come_back(self._hass):\n            self._end",
        "        if True:\n            self._end",
    ),
    Mutant(
        "a run that was cut counts as heard",
        "delivery/deliveries.py",
        "            return Ending.CUT\n",
        "            return Ending.DONE\n",
    ),
    Mutant(
        "what was announced is not taken down",
        "book/transitions.py",
        "    record.announced = transition.status\n",
        "    pass\n",
    ),
    Mutant(
        "an announcement ID is drawn",
        "book/transitions.py",
        '    name = f"{entry_id}/{record.id}/{record.times_watched}/{kind}/{record.counts[kind]}"\n',
        '    name = f"{id(record)}/{record.id}/{kind}/{record.counts[kind]}"\n',
    ),
    Mutant(
        "a failed write is forgotten",
        "book/writer.py",
        "            if not is_written:\n                self._unwritten.give_back(changes)\n",
        "",
    ),
    Mutant(
        "half of the book is loaded",
        "book/rows.py",
        '        found.records[row["id"]] = read_record(row)\n',
        '        if not found.records:\n            found.records[row["id"]] = read_record(row)\n',
    ),
    Mutant(
        "invoices that are added are not compared with",
        "book/book.py",
        "            self.version += 1\n            return added\n",
        "            return added\n",
    ),
    Mutant(
        "a removed invoice takes its money along",
        "book/book.py",
        "        self._carry(record.brought)\n        self._unwritten",
        "        self._unwritten",
    ),
    Mutant(
        "an invoice that is added again counts twice",
        "book/book.py",
        "        self.sums.adopt(record.id, earlier.brought if earlier else None)\n",
        "",
    ),
    Mutant(
        "test money is in the sums",
        "book/record.py",
        "    if is_test or status not in _BROUGHT:\n",
        "    if status not in _BROUGHT:\n",
    ),
    Mutant(
        "a refused key is final",
        "reading/back_off.py",
        "            return max(1.0, KEY_DOUBTED_FOR - refused_for)\n",
        "            return math.inf\n",
    ),
    Mutant(
        "the timer is off after a reading",
        "reading/reader.py",
        "            _answer(waiters)\n            self._hass.loop.call_soon(self.async_arm)\n",
        "            _answer(waiters)\n",
    ),
    Mutant(
        "announced before the start",
        "delivery/account.py",
        "        if not self._is_started or",
        "        if",
    ),
    Mutant(
        "the first of two transitions is enough",
        "delivery/account.py",
        "        self._announce(sent.announcement.invoice_id)\n",
        "",
    ),
    Mutant(
        "what is set up is not taken over",
        "book/loading.py",
        "        await book.async_add(record for id_, record in records.items() if id_ not in known)\n",
        "",
    ),
    Mutant(
        "an invoice whose status is final is over",
        "reading/interval.py",
        "    if one.doubt is not None:\n        confirmed_in",
        "    if one.record.status.is_paid:\n        return None\n    if one.doubt is not None:\n        confirmed_in",
    ),
    Mutant(
        "what is being read is planned no more",
        "reading/schedule.py",
        "        one.plan(now + lease)\n",
        "        one.plan(None)\n",
    ),
    Mutant(
        "who adds an invoice and leaves takes it along",
        "watching.py",
        'asyncio.shield(coordinator.async_start_job(job, "watch"))\n',
        "job\n",
    ),
    Mutant(
        "cleaned up by the clock on the wall",
        "reading/interval.py",
        "    if record.ended_at is None or record.is_dated_here or not clocks.is_server_known:\n",
        "    if record.ended_at is None:\n",
    ),
    Mutant(
        "a word that nobody knows takes the money along",
        "book/transitions.py",
        "    if invoice.status is not InvoiceStatus.UNKNOWN:\n        # What",
        "    if invoice.amount_received is not None and invoice.currency is not None:\n        record.received = Money(invoice.amount_received, invoice.currency)\n    if invoice.status is not InvoiceStatus.UNKNOWN:\n        # What",
    ),
    Mutant(
        "a lost book is empty",
        "book/loading.py",
        "            await book.async_add(devices)\n",
        "            pass\n",
    ),
    Mutant(
        "what was known of an account is shown no more",
        "sensor/account.py",
        "(book.sums.currencies | known)",
        "book.sums.currencies",
    ),
    Mutant(
        "first sight is the baseline",
        "upkeep/places.py",
        "batch, baseline=baseline, is_automatic=True",
        "batch, baseline=None, is_automatic=True",
    ),
    Mutant(
        "since when invoices are new moves with each list",
        "upkeep/lister.py",
        "        if reached := end or",
        "        self._horizon.begin(listed, start, now)\n        if reached := end or",
    ),
    Mutant(
        "the first page says in which order a list is",
        "providers/pages.py",
        "        return self.is_falling and not self.is_rising\n",
        "        return not self.is_rising\n",
    ),
    Mutant(
        "it begins anew when the clock is wrong",
        "upkeep/horizon.py",
        "        if since is None or since.ids:\n",
        "        if since is None:\n",
    ),
    Mutant(
        "what is listed late is not listed again",
        "upkeep/horizon.py",
        "min(listed_to, now) - OVERLAP",
        "min(listed_to, now)",
    ),
    Mutant(
        "a payment that comes again is owed again",
        "book/transitions.py",
        "        if item.is_open:\n            record.item = replace(item, tried_at=max(now, item.tried_at))\n",
        "        record.item = replace(item, tried_at=now, fulfilled_at=None)\n",
    ),
    Mutant(
        "what is taken back is owed no more before that is heard",
        "fulfillment/account.py",
        "            is_news = is_done and take_back(record)\n",
        "            is_news = take_back(record)\n",
    ),
)


def run_planted(
    mutant: Mutant, *command: str, timeout: float | None = None, **environment: str
) -> str:
    """Plant a fault in a copy, run a module there, and return what it printed.

    It is ended after ``timeout`` seconds.
    """
    with TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder)
        for name in ("custom_components", "tests", "sandbox"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        (copy / PACKAGE / mutant.file).write_text(mutant.planted_in(copy))
        with suppress(subprocess.TimeoutExpired), (copy / "printed").open("w") as printed:
            subprocess.run(  # noqa: S603 - a module of ours
                [sys.executable, "-m", *command],
                cwd=copy,
                env={
                    **os.environ,
                    # Each begins with what the others compiled.
                    "PYTHONPYCACHEPREFIX": str(ROOT / ".cache" / "pycache"),
                    "PYTHONDONTWRITEBYTECODE": "",
                    **environment,
                },
                stdout=printed,
                stderr=subprocess.DEVNULL,
                check=False,
                timeout=timeout,
            )
        return (copy / "printed").read_text()


def examples_until_found(mutant: Mutant, most: int) -> int | None:
    """Return how many examples it took to find a fault, None if it wasn't."""
    printed = run_planted(mutant, "tests.explorer.count", "--quiet", EXPLORER_EXAMPLES=str(most))
    found = re.search(r"^found after (\d+)$", printed, re.MULTILINE)
    if found is None and "nothing in" not in printed:
        raise SystemExit(f"{mutant.name}: it ended without a word")
    return int(found[1]) if found else None


def hunt(
    mutants: Iterable[Mutant],
    wanted: AbstractSet[str],
    most: int,
    find: Callable[[Mutant, int], int | None],
    group: str,
) -> None:
    """Plant them all, or those that are wanted, and print what it took to find each.

    What it took to find them all is kept as figures of this group.
    """
    known = {mutant.name: mutant for mutant in mutants}
    if wanted - known.keys():
        raise SystemExit("there is no such mutant")
    took: list[int] = []
    missed = []
    for name, mutant in known.items():
        if wanted and name not in wanted:
            continue
        found = find(mutant, most)
        print(f"{name}: {found or f'not found in {most}'}", flush=True)
        if found is None:
            missed.append(name)
        else:
            took.append(found)
    if took:
        print(f"found: {len(took)}, median number of tries: {median(took):g}")
    if took and not wanted:
        keep(group, {"planted": len(known), "found": len(took), "median": round(median(took))})
    if missed:
        raise SystemExit(f"not found: {', '.join(missed)}")


if __name__ == "__main__":
    hunt(
        MUTANTS,
        set(sys.argv[1:]),
        int(os.environ.get("EXAMPLES", "100")),
        examples_until_found,
        "mutants",
    )
