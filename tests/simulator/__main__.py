"""Run the simulator."""

import sys

from .command_line import main

if __name__ == "__main__":
    sys.exit(1 if main() else 0)
