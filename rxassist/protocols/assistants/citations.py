"""Text whose citations are made for people."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping
from inspect import iscoroutinefunction
from typing import Any, cast

from attrs import frozen
from reactivex import Observable, abc, just
from reactivex.disposable import CompositeDisposable, SingleAssignmentDisposable

from rxassist.errors import excerpt
from rxassist.protocols.assistants.events import (
    Event,
    MessageEvent,
    ThreadMessageCompleted,
    ThreadMessageDelta,
    ThreadMessageIncomplete,
)
from rxassist.protocols.assistants.markers import (
    AnyAnnotation,
    Mark,
    Message,
    Part,
    Shape,
    of_pattern,
    of_the_service,
)
from rxassist.protocols.assistants.models import (
    Annotation,
    AnnotationDelta,
    FileCitationAnnotation,
    FileCitationDeltaAnnotation,
    FilePathAnnotation,
    FilePathDeltaAnnotation,
    TextContentBlock,
    TextDeltaBlock,
    UnknownAnnotation,
    UnknownAnnotationDelta,
)
from rxassist.reactive.logger import logger
from rxassist.reactive.typing import Operator
from rxassist.runs.operators.text import Place, SeenTexts, TextReader


@frozen
class Citation:
    """A marker in a text, such as ``【4:0†source】``, and what it stands for.

    ``number`` counts the sources of the run from 1, in the order in which the text names them; two
    markers of one file have the same. What the service did not say is ``None``, and so is
    ``file_name`` where nobody looked it up or it was not found. ``url`` and ``title`` are those of
    a page of the web. ``is_path``: the marker is the path of a file that the code interpreter made
    (``sandbox:/mnt/data/a.csv``); these files have numbers of their own.
    """

    marker: str
    number: int
    file_id: str | None = None
    file_name: str | None = None
    quote: str | None = None
    url: str | None = None
    title: str | None = None
    is_path: bool = False


def citations(
    render: Callable[[Citation], str] | None = None,
    *,
    file_name: Callable[[str], Observable[str] | str] | None = None,
    marker: str | re.Pattern[str] | None = None,
) -> Operator[Event | str, str]:
    r"""Emit the assistant's text as it grows, its citation markers taken out or replaced.

    Takes the events of a run, or text. A marker is the text that an annotation names, whatever it
    looks like, at the place that the annotation gives, in characters or in UTF-16 units; if the
    text is not there, where it is nearest. The service's own markers (``【4:0†source】``) count
    without an annotation, too, as the service forgets some and text has none. A finished message
    takes back no annotation that its deltas brought.

    ``render`` gives the text for a marker: ``lambda cited: f"[{cited.number}]"``; without it they
    are taken out, but for paths of files, which stay. ``file_name`` looks up the name of a file by
    its id, once for each file of a subscription: it gives an Observable, whose first item counts,
    or the name. Where there is none or the look-up fails, the name is ``None``.

    What went out cannot be replaced, so what may become a marker is held back: the service's own
    markers, and paths (``sandbox:/…``) where ``render`` is given. ``marker`` is a regular
    expression, as text or compiled, of what to hold back instead: ``r"\[doc\d+\]"``; it needs the
    extra ``rxassist[text]``. What it matches waits, with all that stands after it, for its
    annotation; if none has come when the message is finished, it is text and goes out as it is. So
    waits a marker of the service's own where ``render`` is given, and one whose file's name has not
    come. A marker has at most 200 characters and lies within one part of one message.

    No marker is ever split between two emissions. Whatever the cuts of the deltas, the strings
    together are the same text where markers are held back. What is held when the source fails is
    emitted before the error. Completes with its source, when all names are known. An exception of
    ``render`` goes to ``on_error``, and ``TypeError`` for what it gives that is no text. Raises
    ``TypeError`` for what cannot be called, and for coroutine functions; ``TypeError`` or
    ``ValueError`` for a ``marker`` that is no regular expression of text.

    Where ``t`` is a delta of ``"A【4:0"``, ``u`` of ``"†source】B"``::

        source  -t-u-d|
        result  -A-B--|
    """
    given: dict[str, object] = {"render": render, "file_name": file_name}
    for name, function in given.items():
        if function is not None and (not callable(function) or iscoroutinefunction(function)):
            msg = (
                f"{name} must be a function (no coroutine function; for file_name one that gives "
                f"an Observable or text), or None, got {excerpt(function)}"
            )
            raise TypeError(msg)
    shape = of_the_service(paths=render is not None) if marker is None else of_pattern(marker)

    def operator(source: Observable[Event | str]) -> Observable[str]:
        def subscribe(
            observer: abc.ObserverBase[str], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            citing = _Citing(render, file_name, shape, observer)
            citing.held.add(
                source.subscribe(
                    citing.on_next, citing.on_error, citing.on_completed, scheduler=scheduler
                )
            )
            return citing.held

        return Observable(subscribe)

    return operator


class _Names:
    """The names of files, each looked up once."""

    def __init__(
        self,
        look_up: Callable[[str], Observable[str] | str] | None,
        found: Callable[[], None],
        held: CompositeDisposable,
    ) -> None:
        self._look_up = look_up
        self._found = found
        self._held = held
        self._names: dict[str, str | None] = {}
        self._asked: set[str] = set()

    def known(self, file_id: str | None) -> bool:
        """Whether the name of a file is known; if nobody has asked for it, ask."""
        if file_id is None or self._look_up is None or file_id in self._names:
            return True
        if file_id not in self._asked:
            self._asked.add(file_id)
            self._ask(file_id, self._look_up)
        return file_id in self._names

    def get(self, file_id: str | None) -> str | None:
        return None if file_id is None else self._names.get(file_id)

    def _ask(self, file_id: str, look_up: Callable[[str], Observable[str] | str]) -> None:
        asking = SingleAssignmentDisposable()
        self._held.add(asking)

        def settle(name: str | None = None) -> None:
            if file_id not in self._names:
                self._names[file_id] = name
                self._held.remove(asking)
                self._found()

        def could_not(error: Exception) -> None:
            logger.debug("the name of file %s was not found: %s", file_id, error)
            settle()

        try:
            found: object = look_up(file_id)
        except Exception as error:  # noqa: BLE001 -- as if the look-up had failed
            could_not(error)
            return
        if not isinstance(found, Observable | str):
            msg = f"file_name must give an Observable or text, got {excerpt(found)}"
            raise TypeError(msg)
        names = just(found) if isinstance(found, str) else found
        asking.disposable = names.subscribe(settle, could_not, settle)


class _Citing:
    """One subscription: what is held back, in order."""

    def __init__(
        self,
        render: Callable[[Citation], str] | None,
        file_name: Callable[[str], Observable[str] | str] | None,
        shape: Shape,
        observer: abc.ObserverBase[str],
    ) -> None:
        self._render = render
        self._shape = shape
        self._observer = observer
        self._reader = TextReader()
        self._messages: dict[Hashable, Message] = {None: Message(finished=True)}
        self._parts: dict[Place | None, Part] = {}
        self._turns: deque[tuple[Part, int]] = deque()  # of whom the text up to where goes out
        self._sources: dict[str, int] = {}
        self._paths: dict[str, int] = {}
        self._completed = False
        self._sending = False
        self.held = CompositeDisposable()
        self._names = _Names(file_name, self._send, self.held)

    def on_next(self, item: Event | str) -> None:
        try:
            self._take(item)
        except Exception as error:  # noqa: BLE001 -- the subscriber is told
            self._fail(error)
        else:
            if self._turns:
                self._send()

    def on_completed(self) -> None:
        self._completed = True
        self._finish()
        self._send()

    def on_error(self, error: Exception) -> None:
        self._finish()
        try:
            text = "".join(self._going_out(patient=False))
        except Exception:  # noqa: BLE001 -- the first error counts
            text = ""
        if text:
            self._observer.on_next(text)
        self._fail(error)

    def _take(self, item: Event | str) -> None:
        annotated = list(_annotations(item, self._reader.seen))
        last: dict[Part, bool] = {}
        for place, piece in self._reader.read(item):
            part = self._part(place)
            last[part] = piece is None
            if piece is not None:
                part.add(piece)
        for place, noted in annotated:
            part = self._part(place)
            part.note(noted)
            last.setdefault(part, False)
        for part, ends in last.items():
            self._turns.append((part, part.decide(last=ends)))
        if isinstance(item, ThreadMessageCompleted | ThreadMessageIncomplete):
            self._end(item.data.id)

    def _part(self, place: Place | None) -> Part:
        if place not in self._parts:
            message = self._messages.setdefault(place[0] if place else None, Message())
            self._parts[place] = Part(message, self._shape)
        return self._parts[place]

    def _end(self, message_id: str) -> None:
        """Nothing more will be told of a message."""
        for place in [place for place in self._parts if place and place[0] == message_id]:
            part = self._parts.pop(place)
            self._turns.append((part, part.decide(last=True)))
        message = self._messages.pop(message_id, None)
        if message is not None:
            message.finished = True

    def _finish(self) -> None:
        for part in self._parts.values():
            part.message.finished = True
            self._turns.append((part, part.decide(last=True)))

    def _send(self) -> None:
        """Emit what need not be held any more, and the end behind it."""
        if self._sending:  # a name came at once
            return
        self._sending = True
        try:
            text = "".join(self._going_out())
        except Exception as error:  # noqa: BLE001 -- the subscriber is told
            self._fail(error)
            return
        finally:
            self._sending = False
        if text:
            self._observer.on_next(text)
        if self._completed and not self._turns:
            self._observer.on_completed()

    def _going_out(self, *, patient: bool = True) -> Iterator[str]:
        """The text up to the first marker of which something has not come."""
        while self._turns:
            part, end = self._turns[0]
            mark = part.next_mark()
            if mark is None or mark.begin >= end:
                yield part.take(end)
                self._turns.popleft()
                continue
            yield part.take(mark.begin)
            annotation = mark.annotation or part.message.annotations.get(mark.text)
            if patient and not self._ready(mark, annotation, part.message):
                return
            part.skip(mark.end)
            yield self._replaced(mark, annotation)

    def _ready(self, mark: Mark, annotation: AnyAnnotation | None, message: Message) -> bool:
        if self._render is None and mark.certain:
            return True
        if annotation is None:
            return message.finished
        return self._render is None or self._names.known(_file_id(annotation))

    def _replaced(self, mark: Mark, annotation: AnyAnnotation | None) -> str:
        if annotation is None and not mark.certain:
            return mark.text
        if self._render is None:
            return mark.text if _is_path(annotation) else ""
        text: object = self._render(self._citation(mark.text, annotation))
        if not isinstance(text, str):
            msg = f"render must give text, got {excerpt(text)} for {mark.text}"
            raise TypeError(msg)
        return text

    def _citation(self, marker: str, annotation: AnyAnnotation | None) -> Citation:
        file_id, is_path = _file_id(annotation), _is_path(annotation)
        quote, url, title = _told(annotation)
        numbers = self._paths if is_path else self._sources
        number = numbers.setdefault(file_id or url or marker, len(numbers) + 1)
        name = self._names.get(file_id)
        return Citation(marker, number, file_id, name, quote, url, title, is_path)

    def _fail(self, error: Exception) -> None:
        self.held.dispose()
        self._observer.on_error(error)


def _annotations(
    item: Event | str, seen: SeenTexts
) -> Iterator[tuple[Place, tuple[Annotation | AnnotationDelta, ...]]]:
    """The annotations that an item has, each part's with its place. Ask before it is read."""
    if isinstance(item, ThreadMessageDelta):
        if item.piece() is None and seen.grows_by(item.data.id):
            for delta in item.data.delta.content:
                if isinstance(delta, TextDeltaBlock) and delta.text is not None:
                    yield (item.data.id, delta.index or 0), delta.text.annotations
    elif isinstance(item, MessageEvent):
        (whole,) = item.texts()
        if not seen.grows(whole):
            return
        indexes = seen.indexes(whole)
        for place, block in enumerate(item.data.content):
            if isinstance(block, TextContentBlock) and block.text.value:
                yield (item.data.id, indexes.get(place, place)), block.text.annotations


def _is_path(annotation: AnyAnnotation | None) -> bool:
    return isinstance(annotation, FilePathAnnotation | FilePathDeltaAnnotation)


def _file_id(annotation: AnyAnnotation | None) -> str | None:
    if isinstance(annotation, FileCitationAnnotation | FileCitationDeltaAnnotation):
        cited = annotation.file_citation
        return (cited.file_id or None) if cited else None
    if isinstance(annotation, FilePathAnnotation | FilePathDeltaAnnotation):
        made = annotation.file_path
        return (made.file_id or None) if made else None
    return None


def _told(annotation: AnyAnnotation | None) -> tuple[str | None, str | None, str | None]:
    """The quote, the address and the title of what is cited, as far as the service told."""
    if isinstance(annotation, FileCitationAnnotation | FileCitationDeltaAnnotation):
        cited = annotation.file_citation
        return (cited.quote or None) if cited else None, None, None
    if isinstance(annotation, UnknownAnnotation | UnknownAnnotationDelta):
        page = annotation.raw.get("url_citation")
        told = cast("Mapping[str, Any]", page if isinstance(page, dict) else {})
        return None, told.get("url"), told.get("title")
    return None, None, None
