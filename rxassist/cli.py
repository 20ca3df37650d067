"""The command line: ``rxassist demo`` and ``rxassist serve``."""

from __future__ import annotations

import argparse
import sqlite3
import sys
from collections.abc import Sequence

import rxassist
from rxassist.demo import demo
from rxassist.local import LocalService


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, run the command, and return its exit code."""
    given = _parser().parse_args(arguments)
    if given.command == "demo":
        return demo()
    return _serve(given.host, given.port, given.database, given.token_delay)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rxassist", description=rxassist.__doc__)
    parser.add_argument("--version", action="version", version=f"rxassist {rxassist.__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("demo", help="three runs at once, live, against a local service")
    serve = commands.add_parser(
        "serve",
        help="a local service that speaks the Assistants protocol; its answers are scripted",
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
    return parser


def _serve(host: str, port: int, database: str | None, token_delay: float) -> int:
    try:
        service = LocalService(host=host, port=port, database=database, token_delay=token_delay)
        service.start()
    except (OSError, OverflowError, ValueError, sqlite3.Error) as error:
        sys.stderr.write(f"rxassist: the service cannot start: {error}\n")
        return 2
    print(f"rxassist local service (scripted answers) on {service.base_url}", flush=True)
    print(f"RXASSIST_BASE_URL={service.base_url}; Ctrl-C ends it", flush=True)
    service.serve_forever()
    return 0
