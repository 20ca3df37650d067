"""The descriptions in docstrings: of functions, of their arguments, of the fields of classes."""

from __future__ import annotations

import inspect
import re
import warnings

from rxassist.reactive.checks import needing

_DESCRIBES = re.compile(
    r"^\s*(?:Args|Arguments|Parameters|Attributes)\s*:?\s*$|^\s*:param\b", re.MULTILINE
)
_SECTION = (
    r"(?:Args|Arguments|Parameters|Attributes|Returns?|Raises|Yields?|Examples?|Notes?)"
    r"[ \t]*:?[ \t]*(?:\n|$)"
)
_PARAGRAPH_ENDS = re.compile(rf"(?:\A|\n)\s*(?:\n|:|$|{_SECTION})")


def summary(documented: object) -> str | None:
    """The first paragraph, in one line."""
    text = _docstring(documented)
    return " ".join(_PARAGRAPH_ENDS.split(text, maxsplit=1)[0].split()) or None


def descriptions(documented: object) -> dict[str, str]:
    """The description of each argument or field: in the style of Google, NumPy or Sphinx.

    Needs the extra ``tools``: without it there are none, and a warning if some were left out.
    """
    text = _docstring(documented)
    if not _DESCRIBES.search(text):
        return {}
    try:
        import docstring_parser  # noqa: PLC0415 -- an extra
    except ModuleNotFoundError:
        name = getattr(documented, "__qualname__", repr(documented))
        missing = f"the model is not told what the docstring of {name} says of its arguments: that"
        msg = needing(missing, "tools", "docstring-parser")
        warnings.warn(msg, stacklevel=2)
        return {}
    parsed = docstring_parser.parse(text).params
    return {each.arg_name: " ".join((each.description or "").split()) for each in parsed}


def _docstring(documented: object) -> str:
    """The docstring that a person wrote: not the signature that a dataclass writes itself."""
    text = getattr(documented, "__doc__", None) or ""
    if isinstance(documented, type) and text.startswith(f"{documented.__name__}("):
        return ""
    return inspect.cleandoc(text)


__all__ = ["descriptions", "summary"]
