"""The commands of ``rxassist``: ``demo`` and ``serve``."""

from __future__ import annotations

import argparse
import sqlite3
import sys
from errno import EADDRINUSE

from rxassist.local.service import LocalService


def run(given: argparse.Namespace) -> int:
    """Run the command with these arguments, and return its exit code."""
    if given.command == "demo":
        from rxassist.local.demo import demo  # noqa: PLC0415 -- only the demo needs rich

        return demo()
    return _serve(given)


def _serve(given: argparse.Namespace) -> int:
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


__all__ = ["run"]
