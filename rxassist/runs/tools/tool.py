"""A function as a tool, and several of them in a box."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast, get_type_hints, overload

from attrs import field, frozen

from rxassist.errors import excerpt
from rxassist.runs.state import AnyToolCall
from rxassist.runs.tools.definitions import FunctionDefinition, FunctionTool
from rxassist.runs.tools.docstrings import descriptions, summary
from rxassist.runs.tools.schema import Schema, schema_of
from rxassist.runs.tools.values import Field, fit
from rxassist.wire.json import from_json

if TYPE_CHECKING:
    from typing_extensions import TypeVar as TypeVarWithDefault

    _CallT = TypeVarWithDefault("_CallT", bound=AnyToolCall, default=Any)
else:
    _CallT = TypeVar("_CallT", bound=AnyToolCall)
_P = ParamSpec("_P")
_R = TypeVar("_R")

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@frozen
class ToolResult(Generic[_CallT]):
    """The result of one call.

    ``call`` is the call that the model asked for, ``output`` the reply to the model, ``error`` the
    exception if the call failed. ``started_at`` is in seconds since 1970, ``duration`` in seconds.
    """

    call: _CallT
    output: str
    error: Exception | None = None
    started_at: float = field(default=0.0, eq=False)
    duration: float = field(default=0.0, eq=False)


class Tool(Generic[_P, _R]):
    """A function that a model may call, and the definition that the model receives.

    Its JSON Schema is made of the signature: type hints, defaults, and the docstring. Calling it
    calls the function. Raises ``TypeError`` for a function whose arguments have no schema,
    ``ValueError`` for a name that the service does not take.
    """

    def __init__(
        self,
        function: Callable[_P, _R],
        *,
        name: str | None = None,
        description: str | None = None,
        strict: bool = False,
    ) -> None:
        if isinstance(function, type) or not callable(cast("object", function)):
            msg = f"a tool is a function, got {excerpt(function)}"
            raise TypeError(msg)
        self.function = function
        self.name: str = _checked_name(name or str(getattr(function, "__name__", "")), function)
        documented = _documented(function)
        self.description: str | None = description or summary(documented)
        self._signature = inspect.signature(function)
        self._fields = _fields(self._signature, documented, self.name)
        try:
            self.parameters: Schema = schema_of(
                self._fields, descriptions(documented), strict=strict
            )
        except TypeError as error:
            msg = f"{self.name}: the argument {error}"
            raise TypeError(msg) from None
        self.strict: bool = strict
        update_wrapper(self, function, updated=())

    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"Tool({self.name}{self._signature})"

    @property
    def definition(self) -> FunctionTool:
        """The definition for the model: for ``assistants.create(tools=[…])``."""
        strict = True if self.strict else None
        function = FunctionDefinition(self.name, self.description, self.parameters, strict)
        return FunctionTool(function)

    def bind(self, arguments: str | None) -> Callable[[], _R]:
        """The call of the function with the arguments that a model wrote as JSON.

        ``None``, an empty text and ``null`` are no arguments. Raises ``DecodeError`` if they are no
        JSON or do not fit.
        """
        said: object = from_json(arguments, self.name) if arguments and arguments.strip() else None
        said = {} if said is None else said
        fitted: Any = fit(said, self._fields, self.name)
        bound = inspect.BoundArguments(self._signature, fitted)
        return partial(self.function, *bound.args, **bound.kwargs)


@overload
def tool(function: Callable[_P, _R], /) -> Tool[_P, _R]: ...
@overload
def tool(
    *, name: str | None = None, description: str | None = None, strict: bool = False
) -> Callable[[Callable[_P, _R]], Tool[_P, _R]]: ...
def tool(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a tool of a function: as a decorator, ``@tool`` or ``@tool(name="…", strict=True)``.

    ``name`` and ``description`` replace the function's name and the first paragraph of its
    docstring. With ``strict`` the schema is in the subset that the service can enforce: every
    argument is required there, and those with a default may be null. See ``Tool`` for the rest.
    """
    return partial(Tool, **options) if function is None else Tool(function, **options)


class Toolbox:
    """Some tools by their names; functions become tools.

    Raises ``ValueError`` if two have one name, ``TypeError`` for anything but a list of functions.
    """

    def __init__(self, tools: Iterable[Tool[..., Any] | Callable[..., Any]]) -> None:
        self._tools: dict[str, Tool[..., Any]] = {}
        if not isinstance(cast("object", tools), Iterable):
            msg = f"a Toolbox is made of a list of functions, got {excerpt(tools)}; put it in []"
            raise TypeError(msg)
        for each in tools:
            made: Tool[..., Any] = cast("Any", each) if isinstance(each, Tool) else Tool(each)
            if made.name in self._tools:
                msg = f"two tools are called {made.name!r}; name one with @tool(name=…)"
                raise ValueError(msg)
            self._tools[made.name] = made

    def __iter__(self) -> Iterator[Tool[..., Any]]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)

    def __repr__(self) -> str:
        return f"Toolbox([{', '.join(self._tools)}])"

    @property
    def definitions(self) -> list[FunctionTool]:
        """The definitions for the model: for ``assistants.create(tools=…)``."""
        return [each.definition for each in self]

    def bind(self, name: str, arguments: str | None) -> Callable[[], Any]:
        """The call that a model asked for.

        Raises ``LookupError`` for an unknown name, ``DecodeError`` if the arguments are no JSON or
        do not fit.
        """
        return self._named(name).bind(arguments)

    def bind_text(self, name: str, text: str) -> Callable[[], Any]:
        """The call of a custom tool, which a model asked for with a text.

        Raises ``LookupError`` for an unknown name.
        """
        return partial(self._named(name), text)

    def _named(self, name: str) -> Tool[..., Any]:
        if name not in self._tools:
            known = ", ".join(self._tools) or "none"
            msg = f"there is no function {name!r}; there are: {known}"
            raise LookupError(msg)
        return self._tools[name]


def definitions_of(tools: Iterable[object]) -> list[object]:
    """The definitions of some tools for a model: they replace the functions.

    Raises ``ValueError`` if two have one name.
    """
    definitions = [_definition(each) for each in tools]
    names = [name for each in definitions if (name := _defined_name(each)) is not None]
    for name in names:
        if names.count(name) > 1:
            msg = f"two tools are called {name!r}; a model tells them apart by their names"
            raise ValueError(msg)
    return definitions


def with_definitions(given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a call, with the definitions of the functions among its ``tools``."""
    tools: object = given.get("tools")
    if not isinstance(tools, Iterable) or isinstance(tools, str | bytes | Mapping):
        return dict(given)
    return {**given, "tools": definitions_of(cast("Iterable[object]", tools))}


def functions_in(tools: Iterable[object]) -> Toolbox:
    """The functions among some tools.

    Raises ``ValueError`` if some are functions, and some only definitions, as then only some calls
    of the model could be made.
    """
    listed = list(tools)
    toolbox = Toolbox([each for each in listed if callable(each)])
    known = {each.name for each in toolbox}
    for each in listed if known else ():
        name = None if callable(each) else _defined_name(each)
        if name is not None and name not in known:
            msg = (
                f"tools has functions to call, and a definition of {name!r}, which cannot be "
                "called; pass that function itself, or only definitions, to submit all outputs "
                "yourself"
            )
            raise ValueError(msg)
    return toolbox


def _defined_name(definition: object) -> str | None:
    """The name of the function that is defined, if it is the definition of one."""
    if isinstance(definition, FunctionTool):
        return definition.function.name
    if not isinstance(definition, Mapping):
        return None
    function = cast("Mapping[str, object]", definition).get("function")
    if not isinstance(function, Mapping):
        return None
    name = cast("Mapping[str, object]", function).get("name")
    return name if isinstance(name, str) else None


def _definition(given: Any) -> Any:  # noqa: ANN401 -- a tool in any of its shapes
    if isinstance(given, Tool):
        return cast("Tool[..., Any]", given).definition
    return Tool(given).definition if callable(given) else given


def _checked_name(name: str, function: object) -> str:
    if not _NAME.fullmatch(name):
        msg = (
            f"a tool needs a name of 1 to 64 letters, digits, _ and -, got {name!r} for "
            f"{excerpt(function)}; give one with tool(name=…)"
        )
        raise ValueError(msg)
    return name


def _documented(function: Any) -> Any:  # noqa: ANN401 -- a function or what can be called
    """The function or method that has the docstring and the hints."""
    while isinstance(function, partial):
        function = function.func
    is_function = inspect.isroutine(function) or hasattr(function, "__wrapped__")
    return function if is_function else function.__call__


def _hints(documented: Any, name: str) -> dict[str, Any]:  # noqa: ANN401 -- a function
    try:
        return get_type_hints(documented, include_extras=True)
    except NameError as error:
        hints: dict[str, object] = getattr(documented, "__annotations__", {})
        names = [each for each, hint in hints.items() if error.name in _words(hint)]
        msg = (
            f"{name}: the type hint of {' and '.join(names) or 'an argument'} cannot be read: "
            f"{error}; what it names must be known at the top of the module, and not only to type "
            "checkers"
        )
        raise TypeError(msg) from None


def _words(hint: object) -> list[str]:
    return re.findall(r"\w+", str(hint))


def _fields(signature: inspect.Signature, documented: Any, name: str) -> tuple[Field, ...]:  # noqa: ANN401 -- a function
    hints = _hints(documented, name)
    fields: list[Field] = []
    for each in signature.parameters.values():
        if each.kind in {each.VAR_POSITIONAL, each.VAR_KEYWORD}:
            msg = f"{name}: {each} has no schema; a tool names each of its arguments"
            raise TypeError(msg)
        if each.name in {"self", "cls"} and each.name not in hints:
            msg = (
                f"{name} is a method, which needs its {each.name}; make a tool of the bound "
                f"method: tool(thing.{name})"
            )
            raise TypeError(msg)
        if each.name not in hints:
            msg = f"{name}: the argument {each.name} needs a type hint; its schema is made of it"
            raise TypeError(msg)
        has_default = each.default is not each.empty
        default = (each.default,) if has_default else ()
        fields.append(Field(each.name, hints[each.name], not has_default, default))
    return tuple(fields)


__all__ = [
    "Tool",
    "ToolResult",
    "Toolbox",
    "definitions_of",
    "functions_in",
    "tool",
    "with_definitions",
]
