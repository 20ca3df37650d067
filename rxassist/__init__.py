"""rxassist: assistant runs as reactive streams.

``Client`` and ``AsyncClient`` give every call as an Observable, and a run as a ``RunStream``: one
run, many views. ``rxassist.operators`` has what pipes them, ``rxassist.models`` and
``rxassist.events`` what flows through.
"""

TYPE_CHECKING = False  # type checkers know the name; to import it from typing takes a while
if TYPE_CHECKING:
    from typing import Any

    from rxassist._names import *  # noqa: F403 -- its names are written down there
    from rxassist._names import __all__ as __all__

_MODULES = frozenset({"errors", "events", "models", "operators"})


def __getattr__(name: str) -> "Any":  # noqa: ANN401 -- what is asked for
    """What this package gives is imported when it is asked for: an import costs nothing."""
    from importlib import import_module  # noqa: PLC0415 -- not needed by who only imports

    if name == "__version__":
        version = globals()[name] = _version()  # each client names it
        return version
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    names = import_module(f"{__name__}._names")
    if name == "__all__" or name in names.__all__:
        value = getattr(names, name)
        globals()[name] = value
        return value
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return [*__getattr__("__all__"), "__version__"]


def _version() -> str:
    """The version that is installed: a checkout need not be."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 -- slow

    try:
        return version("rxassist")
    except PackageNotFoundError:
        return "0+checkout"
