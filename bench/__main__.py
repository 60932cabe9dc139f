"""Run the benchmark: `python -m bench`."""

import sys

from .command_line import main

if __name__ == "__main__":
    sys.exit(main())
