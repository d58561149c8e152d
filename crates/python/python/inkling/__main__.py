"""The command line: `inkling`, and `python -m inkling`."""

import signal
import sys

from ._inkling import run_command_line


def main() -> int:
    """Does what the process's arguments ask for, and returns the exit code."""
    # Ctrl-C ends the program at once, as it does elsewhere; work that is killed can be resumed.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return run_command_line(["inkling", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
