"""The clients that may use the service: programs, and pages with an allowed origin."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address

from attrs import frozen
from starlette.datastructures import Headers

from rxassist.local.server.problems import Problem, unwelcome

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)(?::[0-9]+)?")
_LABEL = re.compile(r"[\w-]+")
_NAME = re.compile(r"[\w.-]+")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#@*]+")
_HOSTS, _ORIGINS = "allowed_hosts (--allow-host)", "allowed_origins (--allow-origin)"
_OWN_SITE = {"none", "same-origin"}  # the address bar of a browser, and pages of the service


@frozen
class Visitors:
    """Refuses requests of pages in browsers whose origin is not allowed.

    A page that binds its own name to this machine's address sends that name as ``Host``. The name
    of a site has a dot: addresses, names without a dot (``localhost``, a container's) and the
    names in ``hosts`` are accepted, all other names are refused. A page of another site sends
    ``Origin`` or ``Sec-Fetch-Site``: only ``origins`` are accepted. A program sends neither.
    """

    hosts: frozenset[str]
    origins: frozenset[str]

    @classmethod
    def named(cls, own: str, hosts: Iterable[str], origins: Iterable[str]) -> Visitors:
        """Visitors of a service that listens on ``own``, and has these names too.

        Raises ``ValueError`` for a text that is no name or no origin.
        """
        hosts, origins = _named("allowed_hosts", hosts), _named("allowed_origins", origins)
        for host in hosts:
            if not _NAME.fullmatch(host):
                msg = f"allowed_hosts must be names without a port such as 'box.lan', got {host!r}"
                raise ValueError(msg)
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                msg = (
                    "allowed_origins must be origins without a path such as"
                    f" 'http://localhost:3000', got {origin!r}"
                )
                raise ValueError(msg)
        return cls(hosts | {own.lower()}, origins)

    def problem(self, headers: Headers) -> Problem | None:
        """The reason to refuse a request, or ``None``."""
        host = headers.get("host", "")
        if not self._is_host(host):
            return unwelcome("Host", host, _HOSTS)
        origin = headers.get("origin")
        if origin is not None:
            allowed = origin.lower() in self.origins
            return None if allowed else unwelcome("Origin", origin, _ORIGINS)
        site = headers.get("sec-fetch-site", "none")
        return None if site in _OWN_SITE else unwelcome("Sec-Fetch-Site", site, _ORIGINS)

    def _is_host(self, given: str) -> bool:
        match = _HOST.fullmatch(given.lower())
        if match is None:
            return False
        host = match[1]
        return host in self.hosts or _is_address(host) or bool(_LABEL.fullmatch(host))


def _named(name: str, given: Iterable[str]) -> frozenset[str]:
    if isinstance(given, str):
        msg = f"{name} must be a list of texts, got the text {given!r}"
        raise TypeError(msg)
    return frozenset(each.lower() for each in given)


def _is_address(host: str) -> bool:
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


__all__ = ["Visitors"]
