"""Tell the stories: `python -m tests.e2e`, or rather `script/e2e`."""

import sys

try:
    from .command_line import main
except KeyboardInterrupt:
    # Nothing was started yet.
    sys.exit(130)

if __name__ == "__main__":
    sys.exit(main())
