"""Runs the explorer until it finds something, and says after how many examples."""

import logging
import os

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from .machine import Explorer


def main() -> None:
    """Explore without shrinking."""
    logging.disable(logging.CRITICAL)
    begun = 0

    class Counted(Explorer):
        """Counts the examples."""

        def __init__(self) -> None:
            """Count one more."""
            nonlocal begun
            begun += 1
            super().__init__()

    try:
        run_state_machine_as_test(
            Counted,
            settings=settings(
                max_examples=int(os.environ["EXPLORER_EXAMPLES"]),
                stateful_step_count=int(os.environ.get("EXPLORER_STEPS", "30")),
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
    except BaseException as err:  # an exception group, or whatever the machine ended with
        print(f"found after {begun}")
        print(repr(err))
        raise SystemExit(1) from None
    print(f"nothing in {begun}")


if __name__ == "__main__":
    main()
