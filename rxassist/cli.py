"""The command line: ``rxassist.local.demo`` and ``rxassist serve``."""

from __future__ import annotations

import argparse
import sqlite3
import sys
from collections.abc import Sequence
from errno import EADDRINUSE

import rxassist


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, run the command, and return its exit code."""
    given = _parser().parse_args(arguments)
    if given.command == "demo":
        from rxassist.local.demo import demo  # noqa: PLC0415 -- needs the extra

        return demo()
    return _serve(given)


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
    for option, metavar, allowed in (
        ("--allow-host", "NAME", "a name of this machine that requests may be made to"),
        ("--allow-origin", "ORIGIN", "an origin whose pages may speak to the service"),
    ):
        serve.add_argument(
            option, action="append", default=[], metavar=metavar, help=f"{allowed} (repeatable)"
        )
    return parser


def _serve(given: argparse.Namespace) -> int:
    from rxassist.local import LocalService  # noqa: PLC0415 -- needs the extra

    try:
        service = LocalService(
            host=given.host,
            port=given.port,
            database=given.database,
            token_delay=given.token_delay,
            allowed_hosts=given.allow_host,
            allowed_origins=given.allow_origin,
        )
        service.start()
    except (OSError, OverflowError, ValueError, sqlite3.Error) as error:
        why = str(error)
        if isinstance(error, OSError) and error.errno == EADDRINUSE:
            why = f"{error.strerror}; choose another one with --port"
        sys.stderr.write(f"rxassist: the service cannot start: {why}\n")
        return 2
    print(f"rxassist local service (scripted answers) on {service.base_url}", flush=True)
    print(f"RXASSIST_BASE_URL={service.base_url}; Ctrl-C ends it", flush=True)
    service.serve_forever()
    return 0
