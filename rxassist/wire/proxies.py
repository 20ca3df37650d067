"""Choose the proxy for an address: the given one, or those of the environment."""

from __future__ import annotations

from base64 import b64encode
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

from attrs import frozen

from rxassist.errors import excerpt
from rxassist.errors.redaction import HIDDEN, Secrets

_MOST_SECRETS = 32  # of three proxies: user, password and both, quoted and unquoted
_SCHEMES = frozenset({"http", "https", "socks5", "socks5h"})
_ANY = "all"


def is_port(port: int | None) -> bool:
    """Whether a port is valid, or ``None`` for the default."""
    return port is None or 1 <= port <= 65535  # noqa: PLR2004 -- of TCP


def check_proxy(name: str, proxy: object) -> str:
    """A proxy's URL. Raises ``ValueError`` if it is invalid, and never shows its password."""
    if not isinstance(proxy, str):
        msg = f"{name} must be text, got {type(proxy).__name__}"
        raise TypeError(msg)
    try:
        parts = urlsplit(proxy)
        valid = parts.scheme in _SCHEMES and bool(parts.hostname) and is_port(parts.port)
    except ValueError:
        valid = False
    if not valid:
        shown = proxy if "@" not in proxy else f"{HIDDEN}@{proxy.rpartition('@')[2]}"
        msg = (
            f"{name} must be a URL (http, https or socks5) with a host and a port from 1 to 65535, "
            f"got {excerpt(shown)}"
        )
        raise ValueError(msg)
    return proxy


class Proxies:
    """The proxies of a client: the ``given`` one, else those of the environment.

    Reads the variables as httpx does. Users and passwords are shown nowhere.
    """

    def __init__(self, given: str | None = None) -> None:
        self._given = given
        named = {} if given is not None else _named_by_the_environment()
        spared = named.pop("no", "").replace(" ", "").split(",")
        self._spared = [_spared(entry) for entry in spared if entry]
        self._by_scheme = {} if "*" in spared else {_ANY: given} if given else named
        self._secrets = Secrets(_MOST_SECRETS)
        for proxy in self._by_scheme.values():
            self._hide_user(proxy)

    def __bool__(self) -> bool:
        return bool(self._by_scheme)

    @property
    def need_socks(self) -> bool:
        """Whether one of them is a SOCKS proxy."""
        return any(proxy.startswith("socks") for proxy in self._by_scheme.values())

    def of(self, scheme: str, host: str, port: int | None) -> str | None:
        """The proxy of an address. Raises ``ValueError`` if the proxy is no valid URL."""
        if any(spared.is_(scheme, host, port) for spared in self._spared):
            return None
        proxy = self._by_scheme.get(scheme) or self._by_scheme.get(_ANY)
        named = f"the proxy for {scheme} that the environment names"
        return None if proxy is None else check_proxy(named, proxy)

    def _hide_user(self, proxy: str) -> None:
        """Hide user and password of a proxy everywhere, also in answers that repeat them."""
        user_info = proxy.rpartition("@")[0].rpartition("://")[2]
        token = b64encode(unquote(user_info).encode()).decode()
        for secret in (user_info, token, *user_info.split(":", 1)):
            self._secrets.add(secret)
            self._secrets.add(unquote(secret))


@frozen
class _Spared:
    """An entry of ``NO_PROXY``. A host that begins with ``*`` spares its subdomains, too."""

    scheme: str
    host: str
    port: int | None

    def is_(self, scheme: str, host: str, port: int | None) -> bool:
        """Whether an address is spared."""
        if self.scheme not in {_ANY, scheme} or self.port not in {None, port}:
            return False
        if not self.host.startswith("*"):
            return host == self.host
        name = self.host[1:]
        return host == name or host.endswith(name if name.startswith(".") else f".{name}")


def _spared(entry: str) -> _Spared:
    scheme, _, rest = entry.rpartition("://")
    rest = f"[{rest}]" if rest.count(":") > 1 and not rest.startswith("[") else rest
    host, _, port = rest.rpartition(":") if rest.rpartition(":")[2].isdecimal() else (rest, "", "")
    host = host.strip("[]").lower()
    if not scheme and host != "localhost" and not _is_ip(host):
        host = f"*{host}"
    return _Spared(scheme.lower() or _ANY, host, int(port) if port else None)


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _named_by_the_environment() -> dict[str, str]:
    """The proxies by scheme; the key ``no`` has the hosts that use none."""
    from urllib.request import getproxies  # noqa: PLC0415 -- slow to load

    named = getproxies()
    found = {scheme: named[scheme] for scheme in ("http", "https", _ANY) if named.get(scheme)}
    urls = {scheme: url if "://" in url else f"http://{url}" for scheme, url in found.items()}
    return {**urls, "no": named.get("no", "")}


__all__ = ["Proxies", "check_proxy", "is_port"]
