"""``python -m rxassist``: the arguments of the command line, which need no extra."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import rxassist
from rxassist.reactive.checks import needing

_INTERRUPTED = 130  # as shells count: 128, and the number of SIGINT


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, or print which packages it needs. Ctrl-C ends it, with one line."""
    try:
        return _run(_parser().parse_args(arguments))
    except KeyboardInterrupt:
        sys.stderr.write("rxassist: interrupted\n")
        return _INTERRUPTED


def _run(given: argparse.Namespace) -> int:
    try:
        from rxassist.local import cli  # noqa: PLC0415 -- needs the extra

        return cli.run(given)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in {"python_multipart", "rich", "starlette", "uvicorn"}:
            raise
        packages = ("python-multipart", "rich", "starlette", "uvicorn")
        sys.stderr.write(f"rxassist: {needing('this command', 'local', *packages)}\n")
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rxassist", description=rxassist.__doc__)
    parser.add_argument("--version", action="version", version=f"rxassist {rxassist.__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("demo", help="three runs at once, live, against a local service")
    serve = commands.add_parser(
        "serve",
        help="a local service that speaks both protocols; its answers are scripted",
    )
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    serve.add_argument("--port", type=int, default=8765, help="port to listen on (%(default)s)")
    serve.add_argument("--database", metavar="FILE", help="keep the state in this SQLite file")
    serve.add_argument(
        "--token-delay",
        type=float,
        default=0.02,
        metavar="SECONDS",
        help="time between two tokens (%(default)s)",
    )
    for option, metavar, allowed in (
        ("--allow-host", "NAME", "a name of this machine that requests may be made to"),
        ("--allow-origin", "ORIGIN", "an origin whose pages may speak to the service"),
    ):
        serve.add_argument(
            option, action="append", default=[], metavar=metavar, help=f"{allowed} (repeatable)"
        )
    return parser


if __name__ == "__main__":
    sys.exit(main())
