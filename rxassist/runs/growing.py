"""Values that grow by deltas, in any protocol: O(1) for each delta, and earlier values stay valid.

Pieces and entries are appended to lists that all later values share. Each value remembers how much
of the list is its own; a value that goes on from an earlier one copies that part first.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar, cast

import attrs
from attrs import define

from rxassist.errors import StreamDiverged

_T = TypeVar("_T")

# --- text and JSON -------------------------------------------------------------------------


@define(eq=False)
class _Buffer(Generic[_T]):
    """The pieces of one growing value, and the longest value that was joined so far."""

    join: Callable[[list[_T]], _T]
    pieces: list[_T]
    joined: tuple[int, _T]  # replaced as one object, so that other threads never see half of it

    def grow(self, count: int) -> _T:
        """Join the first ``count`` pieces; another thread may have joined more meanwhile."""
        done, joined = self.joined
        if done > count:
            return self.join(self.pieces[:count])
        longer = self.join([joined, *self.pieces[done:count]])
        self.joined = (count, longer)
        return longer


@define(eq=False)
class _TextBuffer(_Buffer[str]):
    """The pieces of a text, which grows in place as long as nobody else holds it."""

    def grow(self, count: int) -> str:
        done, text = self.joined
        if done > count:
            return self.join(self.pieces[:count])
        self.joined = _NOTHING_JOINED  # the text has one owner: Python does not copy it to grow it
        text += "".join(self.pieces[done:count])
        self.joined = (count, text)
        return text


_NOTHING_JOINED = (0, "")


@define(eq=False)
class Growing(Generic[_T]):
    """The first ``count`` pieces of a shared buffer."""

    buffer: _Buffer[_T]
    count: int = 0

    def plus(self, piece: _T | None) -> Growing[_T]:
        """The value with one more piece; this one stays as it is."""
        if not piece:
            return self
        buffer, count = self.buffer, self.count
        if len(buffer.pieces) != count:  # another value went on from here: branch off
            buffer = type(buffer)(buffer.join, buffer.pieces[:count], (count, self.value()))
        buffer.pieces.append(piece)
        return Growing(buffer, count + 1)

    def value(self) -> _T:
        """All pieces, joined; the buffer keeps the longest result."""
        buffer, count = self.buffer, self.count
        joined = buffer.joined
        if joined[0] == count:
            return joined[1]
        del joined  # it holds the text, too
        return buffer.grow(count)


GrowingText = str | Growing[str]
"""Text that may grow. Text of one piece, such as most logs, is a plain ``str``."""

_join = "".join


def grown_text(text: GrowingText, piece: str | None) -> GrowingText:
    """The text with one more piece."""
    if not piece:
        return text
    return piece if text == "" else shared_text(text).plus(piece)


def shared_text(text: GrowingText) -> Growing[str]:
    """The text as pieces in a buffer."""
    return Growing(_TextBuffer(_join, [text], (0, "")), 1) if isinstance(text, str) else text


def plain_text(text: GrowingText) -> str:
    """All of the text."""
    return text if isinstance(text, str) else text.value()


def growing_json(raw: Mapping[str, Any] | None = None) -> Growing[Any]:
    """A JSON object that raw deltas add to."""
    return Growing(_Buffer[Any](_merged, [], (0, {}))).plus(raw)


def _merged(values: list[Any]) -> Any:  # noqa: ANN401 -- raw JSON of an unknown type
    """Add up raw deltas: objects by key, lists by appending, text by joining, else the last."""
    alike = values[:1]  # the last values that add up
    for value in values[1:]:
        if type(value) is type(alike[0]) and isinstance(value, str | list | dict):
            alike.append(value)
        elif value is not None:
            alike = [value]
    if isinstance(alike[0], str):
        return "".join(alike)
    if isinstance(alike[0], list):
        return [item for items in alike for item in items]
    if not isinstance(alike[0], dict):
        return alike[0]
    by_key: dict[str, list[Any]] = {}
    for added in alike:
        for key, value in added.items():
            by_key.setdefault(key, []).append(value)
    fixed = {"index", "type", "id"}
    return {key: _last(said) if key in fixed else _merged(said) for key, said in by_key.items()}


def _last(values: list[Any]) -> Any:  # noqa: ANN401 -- raw JSON of an unknown type
    return next((value for value in reversed(values) if value is not None), None)


# --- many values, by their keys ------------------------------------------------------------

_BITS = 5  # of a place, for each level of a tree


@define(eq=False)
class Vector(Generic[_T]):
    """Values by place, with gaps, in a tree of tuples of up to 32 entries.

    ``put`` copies one tuple on each level, so its cost grows with the logarithm, of base 32, of the
    largest place.
    """

    root: tuple[Any, ...] = ()
    bits: int = 0  # of a place that the levels below the root tell apart

    def get(self, place: int) -> _T | None:
        """The value at a place, ``None`` in a gap."""
        node, bits = self.root, self.bits
        while True:
            slot = place >> bits
            found = node[slot] if slot < len(node) else None
            if found is None or not bits:
                return cast("_T | None", found)
            place -= slot << bits
            node, bits = found, bits - _BITS

    def put(self, place: int, value: _T) -> Vector[_T]:
        """The vector with a value at a place; this one stays as it is."""
        root, bits = self.root, self.bits
        while place >> bits + _BITS:  # the tree is too small
            root, bits = (root,), bits + _BITS
        return Vector(_changed(root, bits, place, value), bits)


def _changed(node: tuple[Any, ...], bits: int, place: int, value: object) -> tuple[Any, ...]:
    """The node with another value at a place below it."""
    slot = place >> bits
    entries = [*node]
    if slot >= len(node):
        entries += [None] * (slot + 1 - len(node))
    if bits:
        value = _changed(entries[slot] or (), bits - _BITS, place - (slot << bits), value)
    entries[slot] = value
    return tuple(entries)


_UNCHANGED: Vector[Any] = Vector()


class _Shelf(Generic[_T]):
    """All but the last of some keyed values, in order of arrival, and the place of each key."""

    __slots__ = ("place", "values")

    def __init__(self, values: list[_T], place: dict[Hashable, int]) -> None:
        self.values: list[_T] = values
        self.place: dict[Hashable, int] = place


@define(eq=False)
class Keyed(Generic[_T]):
    """An immutable ordered mapping; to replace or add an entry costs O(1), or nearly.

    The last entry, which grows mostly, is held here. The others stand on a shelf that is shared;
    ``changed`` has those that were replaced since. ``count`` includes the last one.
    """

    shelf: _Shelf[_T] | None = None  # where there are two or more
    count: int = 0
    last_key: Any = None
    last: _T | None = None
    changed: Vector[_T] | None = None

    def get(self, key: Hashable) -> _T | None:
        """The value of a key, ``None`` if there is none."""
        if self.count and key == self.last_key:
            return self.last
        shelf = self.shelf
        place = None if shelf is None else shelf.place.get(key)
        if shelf is None or place is None or place >= self.count - 1:
            return None
        changed = None if self.changed is None else self.changed.get(place)
        return shelf.values[place] if changed is None else changed

    def place(self, key: Hashable) -> int:
        """The place of a key; that of the next entry if the key is new."""
        if self.count and key == self.last_key:
            return self.count - 1
        place = self.count if self.shelf is None else self.shelf.place.get(key, self.count)
        return place if place < self.count - 1 else self.count

    def put(self, key: Hashable, value: _T) -> Keyed[_T]:
        """The mapping with another value for a key; this one stays as it is."""
        shelf, count = self.shelf, self.count
        if count and key == self.last_key:
            return Keyed(shelf, count, key, value, self.changed)
        if not count:
            return Keyed(None, 1, key, value)
        place = None if shelf is None else shelf.place.get(key)
        if place is not None and place < count - 1:
            changed = (self.changed or _UNCHANGED).put(place, value)
            return Keyed(shelf, count, self.last_key, self.last, changed)
        if shelf is None:
            shelf = _Shelf[_T]([], {})
        elif len(shelf.values) != count - 1:  # another mapping went on from here: branch off
            own = {key: place for key, place in shelf.place.items() if place < count - 1}
            shelf = _Shelf(shelf.values[: count - 1], own)
        shelf.place[self.last_key] = len(shelf.values)
        shelf.values.append(cast("_T", self.last))
        return Keyed(shelf, count + 1, key, value, self.changed)

    def __iter__(self) -> Iterator[_T]:
        return iter(self._values())

    def keys(self) -> list[Any]:
        """The keys, in the order in which they came."""
        shelved = () if self.shelf is None else list(self.shelf.place)[: self.count - 1]
        return [*shelved, self.last_key] if self.count else []

    def _values(self) -> list[_T]:
        if not self.count:
            return []
        last = cast("_T", self.last)
        shelf = self.shelf
        if shelf is None or self.count == 1:
            return [last]
        shelved = shelf.values[: self.count - 1]
        if self.changed is not None:
            changed = [self.changed.get(place) for place in range(self.count - 1)]
            pairs = zip(shelved, changed, strict=True)
            shelved = [old if new is None else new for old, new in pairs]
        return [*shelved, last]

    def in_order(self, index: Callable[[_T], int]) -> list[_T]:
        """The values by their index: they may have come in another order, or with gaps."""
        values = self._values()
        if self.count > 1:
            values.sort(key=lambda value: index(value) or 0)  # some servers send null for 0
        return values


NOTHING_YET: Keyed[Any] = Keyed()


# --- what comes after the end --------------------------------------------------------------


def filled(whole: _T, late: object) -> _T:
    """A whole object whose null or empty fields take the values of one that came later."""
    kinds: set[type] = {type(whole), type(late)}
    result: Any = whole
    if whole is None or whole in ("", (), [], {}):
        result = whole if late is None else late
    elif kinds == {tuple}:
        items, more = cast("tuple[Any, ...]", whole), cast("tuple[Any, ...]", late)
        pairs = zip(items, more, strict=False)
        result = (*(filled(item, added) for item, added in pairs), *items[len(more) :])
    elif kinds == {dict}:
        said, added = cast("dict[str, Any]", whole), cast("dict[str, Any]", late)
        result = {**said, **{key: filled(said.get(key), added[key]) for key in added}}
    elif len(kinds) == 1 and attrs.has(type(whole)):
        fields = attrs.fields(cast("Any", type(whole)))
        told = {f.alias: filled(getattr(whole, f.name), getattr(late, f.name)) for f in fields}
        result = attrs.evolve(cast("Any", whole), **told)
    return cast("_T", result)


def fills(whole: object, late: object) -> bool:
    """Whether a late object fills anything of a whole one."""
    return bool(filled(whole, late) != whole)


def with_extra(built: _T, begun: object) -> _T:
    """A built object, with the unknown fields of the objects that it began with and grew by."""
    return built if begun is None else filled(built, begun)


# --- what is missing -----------------------------------------------------------------------

_UTF_16 = ("utf-16-le", "surrogatepass")


def continuation(text: str, begun: str) -> str | None:
    """The rest of a text after its beginning; ``None`` if it begins otherwise.

    Deltas may cut a character into its two surrogates, so these are compared.
    """
    if text.startswith(begun):
        return text[len(begun) :]
    units, begun_units = (each.encode(*_UTF_16) for each in (text, begun))
    if not units.startswith(begun_units):
        return None
    return units[len(begun_units) :].decode(*_UTF_16)


def text_rest(stored: str | None, heard: GrowingText, of: str) -> str:
    """The rest of a stored text after the text that was heard.

    Raises ``StreamDiverged`` with the id ``of`` if it does not continue that.
    """
    begun = plain_text(heard)
    rest = continuation(stored or "", begun)
    if rest is None:
        raise StreamDiverged(of, begun, stored or "")
    return rest


def json_rest(stored: object, heard: object, of: str) -> Any:  # noqa: ANN401 -- raw JSON
    """The raw delta that is missing between two JSON values, ``None`` for nothing.

    Raises ``StreamDiverged`` with the id ``of`` if no delta makes one of the other.
    """
    if stored == heard:
        return None
    kinds = {type(stored), type(heard)}
    if kinds == {str}:
        return text_rest(cast("str", stored), cast("str", heard), of)
    if kinds == {list}:
        whole, begun = cast("list[object]", stored), cast("list[object]", heard)
        if whole[: len(begun)] != begun:
            raise StreamDiverged(of, begun, whole)
        return whole[len(begun) :]
    if kinds == {dict}:
        entries, known = cast("dict[str, object]", stored), cast("dict[str, object]", heard)
        added = {key: json_rest(value, known.get(key), of) for key, value in entries.items()}
        return {key: value for key, value in added.items() if value is not None}
    return stored


# --- kinds of things -----------------------------------------------------------------------


class _Whole(Protocol):
    """A finished model object of a tagged union."""

    @property
    def type(self) -> str: ...


class _Delta(Protocol):
    """A delta of a tagged union, and the index of the object that it adds to."""

    @property
    def index(self) -> int: ...
    @property
    def type(self) -> str: ...


_W = TypeVar("_W", bound=_Whole)
_D = TypeVar("_D", bound=_Delta)
_K = TypeVar("_K", bound="Kind[Any, Any]")


@define(eq=False)
class Kind(Generic[_W, _D]):
    """The base of a class for each kind of thing that grows; its values are immutable.

    The constructor needs the index alone: then nothing has come yet. A kind of which one delta
    brings all, such as an image, has no methods but ``plus`` and ``rest``.
    """

    type: ClassVar[str]  # as models and deltas of this kind have it
    index: int
    begun: _W | None = None  # the object that it began with

    @classmethod
    def begin(cls, places: Sequence[int], whole: _W) -> Self:
        """A thing that begins with a whole object: see ``places()``."""
        return cls(places[0], whole)

    @abstractmethod
    def plus(self, delta: _D) -> Self:
        """The thing after one more delta."""

    def build(self) -> _W:
        """The finished object, as far as it has come."""
        return cast("_W", self.begun)

    @abstractmethod
    def rest(self, stored: _W, of: str, /) -> Iterator[_D]:
        """The deltas that are missing between this, which was heard, and a stored object.

        Raises ``StreamDiverged`` with the id ``of`` if no delta makes one of the other.
        """

    def places(self) -> tuple[int, ...]:
        """The index, and those of the things inside: ``begin`` takes them with the object."""
        return (self.index,)

    def kept(self) -> tuple[Any, ...]:
        """The arguments of the constructor, if the next delta is of another kind."""
        return (self.index,)


class Kinds(Generic[_K, _W, _D]):
    """The kinds that may stand side by side in one list, by their ``type``."""

    def __init__(self, *kinds: type[_K]) -> None:
        self._by_type = {kind.type: kind for kind in kinds}

    def begin(self, places: Sequence[int], whole: _W) -> _K:
        """A thing that begins with a whole object: see ``Kind.places()``."""
        return self._by_type[whole.type].begin(places, whole)

    def plus(self, thing: _K | None, delta: _D) -> _K:
        """The thing after one more delta, which may be its first."""
        name = delta.type
        if thing is not None and thing.type == name:  # as nearly always
            return thing.plus(delta)
        kind = self._by_type[name]
        other = kind(delta.index) if thing is None else kind(*thing.kept())
        grown = other.plus(delta)
        return thing if thing is not None and grown is other else grown  # an empty delta

    def rest(self, stored: Sequence[_W], heard: Sequence[_W], of: str) -> Iterator[_D]:
        """The deltas that are missing between two lists: see ``Kind.rest()``."""
        if len(heard) > len(stored):
            raise StreamDiverged(of, heard[len(stored)], None)
        for index, whole in enumerate(stored):
            thing = self._by_type[whole.type](index)
            if index < len(heard):
                if _identity(heard[index]) != _identity(whole):
                    raise StreamDiverged(of, heard[index], whole)
                thing = self.begin((index,), heard[index])
            yield from thing.rest(whole, of)


def _identity(whole: _Whole) -> tuple[object, ...]:
    """What stays the same while a thing grows: its type, and its id if it has one."""
    return whole.type, getattr(whole, "wire_type", None), getattr(whole, "id", None)


__all__ = [
    "NOTHING_YET",
    "Growing",
    "GrowingText",
    "Keyed",
    "Kind",
    "Kinds",
    "Vector",
    "continuation",
    "filled",
    "fills",
    "growing_json",
    "grown_text",
    "json_rest",
    "plain_text",
    "shared_text",
    "text_rest",
    "with_extra",
]
