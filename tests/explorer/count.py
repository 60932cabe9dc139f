"""Runs the explorer until it finds something, and says after how many examples."""

import logging
import os
import sys
import time
import traceback

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.figures import keep

from .machine import Explorer


def main() -> None:
    """Explore without shrinking."""
    logging.disable(logging.CRITICAL)
    begun, last = 0, None

    class Counted(Explorer):
        """Counts the examples, and remembers the last."""

        def __init__(self) -> None:
            """Count one more."""
            nonlocal begun, last
            begun += 1
            last = self
            super().__init__()

    if (number := os.environ.get("EXPLORER_SEED")) is not None:
        seed(int(number))(Counted)
    began = time.monotonic()
    try:
        run_state_machine_as_test(
            Counted,
            settings=settings(
                max_examples=int(os.environ["EXPLORER_EXAMPLES"]),
                stateful_step_count=int(os.environ.get("EXPLORER_STEPS", "40")),
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
                print_blob=True,
            ),
        )
    except BaseException as err:  # an exception group, or whatever the machine ended with
        print(f"found after {begun}")
        if last is not None:
            print("\n".join(last.story))
        if "--quiet" not in sys.argv:
            traceback.print_exception(err, limit=-6)
        raise SystemExit(1) from None
    seconds = time.monotonic() - began
    print(f"nothing in {begun} ({begun / seconds:.1f} a second)")
    keep("explorer", {"examples": begun, "seconds": round(seconds)})


if __name__ == "__main__":
    main()
