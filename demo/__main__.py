"""Run the demo: `python -m demo`, or rather `script/demo`."""

import sys

try:
    from .command_line import main
except KeyboardInterrupt:
    # Nothing was started yet.
    sys.exit(130)

if __name__ == "__main__":
    sys.exit(main())
