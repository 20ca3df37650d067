"""``python -m rxassist``."""

import sys

from rxassist import cli


def main() -> int:
    """Run the command line, or say what it needs."""
    try:
        return cli.main()
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in {"rich", "starlette", "uvicorn"}:
            raise
        sys.stderr.write(f'rxassist: {missing} is missing: pip install "rxassist[local]"\n')
        return 2


if __name__ == "__main__":
    sys.exit(main())
