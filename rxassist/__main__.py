"""``python -m rxassist``."""

import sys

from rxassist import cli
from rxassist.reactive.checks import needing

_INTERRUPTED = 130  # as shells count: 128, and the number of SIGINT


def main() -> int:
    """Run the command line, or say what it needs. Ctrl-C ends it, in one line."""
    try:
        return _main()
    except KeyboardInterrupt:
        sys.stderr.write("rxassist: interrupted\n")
        return _INTERRUPTED


def _main() -> int:
    try:
        return cli.main()
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in {"rich", "starlette", "uvicorn"}:
            raise
        packages = ("python-multipart", "rich", "starlette", "uvicorn")
        sys.stderr.write(f"rxassist: {needing('this command', 'local', *packages)}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
