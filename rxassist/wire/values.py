"""The base classes of all objects of a service, and the objects that every service has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, TypeVar, cast

from attrs import Attribute, field, fields, frozen

_T = TypeVar("_T")


class Shown:
    """How objects show themselves: to people, and to pydantic."""

    __slots__ = ()

    def __init_subclass__(cls) -> None:
        """Remove the ``__repr__`` that attrs writes: it shows empty fields, too."""
        super().__init_subclass__()
        if "__repr__" in vars(cls):
            del cls.__repr__

    def __repr__(self) -> str:
        """The fields that are not empty."""
        said = ", ".join(f"{name}={value!r}" for name, value in self._said())
        return f"{type(self).__name__}({said})"

    def _repr_html_(self) -> str:
        """The same as a table, for notebooks."""
        from html import escape  # noqa: PLC0415 -- for notebooks alone

        shown = {
            name: value if isinstance(value, str) else repr(value) for name, value in self._said()
        }
        rows = "".join(f"<tr><th>{key}</th><td>{escape(shown[key])}</td></tr>" for key in shown)
        return f"<table><caption>{type(self).__name__}</caption>{rows}</table>"

    def _said(self) -> Iterator[tuple[str, Any]]:
        for attribute in fields(cast("Any", type(self))):
            value = getattr(self, attribute.name)
            is_constant = attribute.name == "object" and value == attribute.default
            if attribute.repr and value not in _SAY_NOTHING and not is_constant:
                yield attribute.name, value

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: object) -> Any:  # noqa: ANN401
        """The schema for pydantic, so that FastAPI takes it in requests and responses."""
        from rxassist.wire.pydantic import core_schema  # noqa: PLC0415 -- for pydantic alone

        return core_schema(source)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: object, handler: object) -> dict[str, Any]:
        """The description in FastAPI: an object with the fields of the class."""
        named: dict[str, object]
        named = {wire_name(each): {} for each in fields(cast("Any", cls)) if each.repr}
        return {"title": cls.__name__, "type": "object", "properties": named}


_SAY_NOTHING: tuple[object, ...] = (None, "", (), {})


_WIRE_NAME = "wire_name"


def on_wire(name: str) -> dict[str, str]:
    """The metadata of a field that has another name on the wire."""
    return {_WIRE_NAME: name}


def wire_name(attribute: Attribute[Any]) -> str:
    """The name of a field on the wire."""
    name: str = attribute.metadata.get(_WIRE_NAME, attribute.name)
    return name


@frozen
class Model(Shown):
    """The base of all objects: ``extra`` has what the service sent without a field for it."""

    _extra: Mapping[str, Any] | None = field(
        default=None, alias="extra", kw_only=True, hash=False, repr=False
    )
    _other_names: ClassVar[Mapping[str, str]] = {}
    """The fields that some servers name differently, by those other names."""

    @property
    def extra(self) -> Mapping[str, Any]:
        """What the service sent besides the fields, as plain JSON; mostly nothing."""
        return {} if self._extra is None else self._extra


class LateText(Model):
    """The base of objects whose text grows: it may be joined when code reads it, and not before.

    It is not kept then: a text that nobody else holds grows in place, and is not copied for each
    piece. Python calls ``__getattr__`` for an attribute whose slot is empty.
    """

    __slots__ = ("_read",)
    _late: ClassVar[str]  # the name of the field that is the text
    _read: Callable[[], str]  # where that field is empty

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> str:
            if name != self._late:
                msg = f"{type(self).__name__!r} object has no attribute {name!r}"
                raise AttributeError(msg)
            return self._read()


@frozen
class Delta(Model):
    """The base of all objects that carry only an addition to an earlier object."""


@frozen
class Unknown(Shown):
    """A member of a tagged union whose type this version does not know; ``raw`` has all of it.

    ``type`` is ``"unknown"``, which no other member has; ``wire_type`` is the type that the
    service sent.
    """

    wire_type: str
    raw: Mapping[str, Any]
    type: Literal["unknown"] = "unknown"

    @property
    def extra(self) -> Mapping[str, Any]:
        """All that the service sent besides the type, as every object has it."""
        return {key: value for key, value in self.raw.items() if key != "type"}


class Tagged(Protocol):
    """A member of a tagged union, or the part of one that was received so far."""

    @property
    def type(self) -> str:
        """The tag."""
        ...


def type_on_wire(member: Tagged | Unknown) -> str:
    """The type of a member of a tagged union, as the service sent it."""
    return member.wire_type if isinstance(member, Unknown) else member.type


@frozen
class ErrorObject(Model):
    """The service's description of an error."""

    message: str = ""
    type: str | None = None
    code: str | None = None
    param: str | None = None


@frozen
class Deleted(Model):
    """The answer to a deletion."""

    id: str
    deleted: bool = True
    object: str = ""


@frozen
class Page(Model, Generic[_T]):
    """One page of a list. The id of its last item is the ``after`` of the next page.

    ``has_more`` is ``None`` if a server does not say whether there is one.
    """

    data: tuple[_T, ...] = ()
    first_id: str | None = None
    last_id: str | None = None
    has_more: bool | None = None
    object: str = "list"


@frozen
class LastError(Model):
    """Why a run, a step or a file failed: a ``code`` for programs, a ``message`` for people."""

    code: str = ""
    message: str = ""


__all__ = [
    "Deleted",
    "Delta",
    "ErrorObject",
    "LastError",
    "Model",
    "Page",
    "Shown",
    "Tagged",
    "Unknown",
    "on_wire",
    "type_on_wire",
    "wire_name",
]
