"""Every order of events: nothing lost, nothing doubled."""

import os
import sys

from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test
import pytest

from .machine import Explorer
from .mutants import MUTANTS, ROOT, Mutant

# So that several workers share the examples.
PARTS = 4


@pytest.mark.parametrize("part", range(PARTS))
def test_explorer(capsys: pytest.CaptureFixture[str], part: int) -> None:
    """What is promised holds after each step, and nothing is lost in the end."""
    Explorer.steps.clear()
    if "EXPLORER_EXAMPLES" not in os.environ:
        # The same examples each time; whoever asks for a number of them gets others.
        seed(part)(Explorer)
    run_state_machine_as_test(
        Explorer,
        settings=settings(
            max_examples=int(os.environ.get("EXPLORER_EXAMPLES", "200")) // PARTS,
            stateful_step_count=int(os.environ.get("EXPLORER_STEPS", "40")),
            deadline=None,
            database=None,
            print_blob=True,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
    with capsys.disabled():
        sys.stdout.write(f"\npart {part}: {Explorer.steps.total()} steps\n")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_applies(mutant: Mutant) -> None:
    """Each fault that can be planted is one of today's code."""
    assert mutant.planted_in(ROOT)
