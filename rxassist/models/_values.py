"""Values that several objects share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, Literal, Protocol, TypeVar

from attrs import field, frozen

_T = TypeVar("_T")


@frozen
class Model:
    """The base of all objects: ``extra`` has what the service said and no field is there for."""

    _extra: Mapping[str, Any] | None = field(
        default=None, alias="extra", kw_only=True, hash=False, repr=False
    )

    @property
    def extra(self) -> Mapping[str, Any]:
        """What the service said besides the fields, as plain JSON; mostly nothing."""
        return {} if self._extra is None else self._extra


@frozen
class Unknown:
    """A member of a tagged union of a type that this version does not know, whole in ``raw``.

    ``type`` is ``"unknown"``, which tells it from the other members; ``wire_type`` is the type that
    the service sent.
    """

    wire_type: str
    raw: Mapping[str, Any]
    type: Literal["unknown"] = "unknown"

    @property
    def extra(self) -> Mapping[str, Any]:
        """All that the service said besides the type, as every object has it."""
        return {key: value for key, value in self.raw.items() if key != "type"}


class Tagged(Protocol):
    """A member of a tagged union, or what was read of one."""

    @property
    def type(self) -> str:
        """The tag."""
        ...


def type_on_wire(member: Tagged | Unknown) -> str:
    """The type of a member of a tagged union, as the service sent it."""
    return member.wire_type if isinstance(member, Unknown) else member.type


@frozen
class Usage(Model):
    """Tokens that a run or a step used. ``None`` where the service said nothing, never 0."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_token_details: Mapping[str, Any] | None = None
    completion_tokens_details: Mapping[str, Any] | None = None


@frozen
class LastError(Model):
    """Why a run, a step or a file failed: a ``code`` for programs, a ``message`` for people."""

    code: str = ""
    message: str = ""


@frozen
class IncompleteDetails(Model):
    """Why a run or a message stopped early, such as ``max_completion_tokens``."""

    reason: str | None = None


@frozen
class ErrorObject(Model):
    """The service's description of what went wrong."""

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

    ``has_more`` is ``None`` where a server does not say whether there is one.
    """

    data: tuple[_T, ...] = ()
    first_id: str | None = None
    last_id: str | None = None
    has_more: bool | None = None
    object: str = "list"


@frozen
class CodeInterpreterResources(Model):
    """The files that the code interpreter may read."""

    file_ids: tuple[str, ...] = ()


@frozen
class FileSearchResources(Model):
    """The vector stores that file search looks into."""

    vector_store_ids: tuple[str, ...] = ()


@frozen
class ToolResources(Model):
    """What the tools of an assistant or a thread may use."""

    code_interpreter: CodeInterpreterResources | None = None
    file_search: FileSearchResources | None = None


@frozen
class ResponseFormatText(Model):
    """Plain text, the default."""

    type: Literal["text"] = "text"


@frozen
class ResponseFormatJSONObject(Model):
    """Any JSON object."""

    type: Literal["json_object"] = "json_object"


@frozen
class ResponseFormatJSONSchema(Model):
    """JSON that fits a schema: ``json_schema`` has ``name``, ``schema``, ``strict``."""

    json_schema: Mapping[str, Any] = field(factory=dict[str, Any])
    type: Literal["json_schema"] = "json_schema"


@frozen
class UnknownResponseFormat(Unknown):
    """A response format of a type that this version does not know."""


ResponseFormat = (
    str
    | ResponseFormatText
    | ResponseFormatJSONObject
    | ResponseFormatJSONSchema
    | UnknownResponseFormat
)
"""``"auto"`` or an object."""
