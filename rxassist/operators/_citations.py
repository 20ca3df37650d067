"""Text whose citations are made for people."""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from inspect import iscoroutinefunction
from typing import Any, cast

from attrs import frozen
from reactivex import Observable, abc, just
from reactivex.disposable import CompositeDisposable, SingleAssignmentDisposable

from rxassist.errors import excerpt
from rxassist.events import (
    Event,
    MessageEvent,
    ThreadMessageCompleted,
    ThreadMessageDelta,
    ThreadMessageIncomplete,
    check_event,
)
from rxassist.models import (
    Annotation,
    AnnotationDelta,
    FileCitationAnnotation,
    FileCitationDeltaAnnotation,
    TextContentBlock,
    TextDeltaBlock,
    UnknownAnnotation,
    UnknownAnnotationDelta,
)
from rxassist.operators._text import _Seen
from rxassist.typing import Operator

_logger = logging.getLogger("rxassist")

_LONGEST = 200  # characters of a marker: what is longer is text
_MARKER = re.compile(rf"【\d+(?::\d+)?†[^【】\n]{{0,{_LONGEST}}}】")
_BEGUN = re.compile(rf"【(?:\d*|\d+:\d*|\d+(?::\d+)?†[^【】\n]{{0,{_LONGEST}}})\Z")


@frozen
class Citation:
    """A marker of the service, such as ``【4:0†source】``, and what it stands for.

    ``number`` counts the sources of the run from 1, in the order in which the text names them; two
    markers of one file have the same. What the service did not say is ``None``, and so is
    ``file_name`` where nobody looked it up or it was not found. ``url`` and ``title`` are those of
    a page of the web.
    """

    marker: str
    number: int
    file_id: str | None = None
    file_name: str | None = None
    quote: str | None = None
    url: str | None = None
    title: str | None = None


def citations(
    render: Callable[[Citation], str] | None = None,
    *,
    file_name: Callable[[str], Observable[str] | str] | None = None,
) -> Operator[Event, str]:
    """Emit the assistant's text as it grows, its citation markers taken out or replaced.

    ``render`` gives the text for a marker: ``lambda cited: f"[{cited.number}]"``; without it they
    are taken out. ``file_name`` looks up the name of a file by its id, once for each file of a
    subscription: it gives an Observable, whose first item counts, or the name. Where there is none
    or the look-up fails, the name is ``None``.

    No marker is ever split between two emissions: what may be the beginning of one is held back,
    and where ``render`` is given, so is a marker whose annotation or name has not come, with all
    that stands behind it. Whatever the cuts of the deltas, the strings together are the same text.
    What is held when the source fails is emitted before the error. Completes with its source, when
    all names are known. An exception of ``render`` goes to ``on_error``, and ``TypeError`` for what
    it gives that is no text. Raises ``TypeError`` for what cannot be called, and for coroutine
    functions.

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

    def operator(source: Observable[Event]) -> Observable[str]:
        def subscribe(
            observer: abc.ObserverBase[str], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            citing = _Citing(render, file_name, observer)
            citing.held.add(
                source.subscribe(
                    citing.on_next, citing.on_error, citing.on_completed, scheduler=scheduler
                )
            )
            return citing.held

        return Observable(subscribe)

    return operator


class _Message:
    """What is known of a message: its annotations by marker, and the end of its text."""

    def __init__(self) -> None:
        self.annotations: dict[str, Annotation | AnnotationDelta] = {}
        self.finished = False
        self._growing = ""

    def cut(self, piece: str, *, last: bool) -> Iterator[str | re.Match[str]]:
        """The text and the markers in it; the end is kept if it may be half a marker."""
        text, begin = self._growing + piece, 0
        for marker in _MARKER.finditer(text):
            yield text[begin : marker.start()]
            yield marker
            begin = marker.end()
        half = None if last else _BEGUN.search(text, begin)
        end = len(text) if half is None else half.start()
        yield text[begin:end]
        self._growing = text[end:]


@frozen
class _Marker:
    text: str
    message: _Message


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
            _logger.debug("the name of file %s was not found: %s", file_id, error)
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
        observer: abc.ObserverBase[str],
    ) -> None:
        self._render = render
        self._observer = observer
        self._text = _Seen()
        self._messages: dict[str, _Message] = {}
        self._numbers: dict[str, int] = {}
        self._waiting: deque[str | _Marker] = deque()
        self._completed = False
        self._sending = False
        self.held = CompositeDisposable()
        self._names = _Names(file_name, self._send, self.held)

    def on_next(self, event: Event) -> None:
        try:
            self._take(event)
        except Exception as error:  # noqa: BLE001 -- the subscriber is told
            self._fail(error)
        else:
            if self._waiting:
                self._send()

    def on_completed(self) -> None:
        self._completed = True
        self._finish()
        self._send()

    def on_error(self, error: Exception) -> None:
        self._finish()
        try:
            text = "".join(self._rendered(item) for item in self._waiting)
        except Exception:  # noqa: BLE001 -- the first error counts
            text = ""
        if text:
            self._observer.on_next(text)
        self._fail(error)

    def _take(self, event: Event) -> None:
        if isinstance(event, ThreadMessageDelta):
            message = self._messages.setdefault(event.data.id, _Message())
            for part in event.data.delta.content:
                if isinstance(part, TextDeltaBlock) and part.text is not None:
                    _annotate(message, part.text.annotations)
            for piece in self._text.grow(event):
                self._hold(message, piece)
        elif isinstance(event, MessageEvent):
            message = self._messages.setdefault(event.data.id, _Message())
            finished = isinstance(event, ThreadMessageCompleted | ThreadMessageIncomplete)
            for block in event.data.content:
                if isinstance(block, TextContentBlock):
                    _annotate(message, block.text.annotations)
            for piece in self._text.complete(event.data, finished=finished):
                self._hold(message, piece)
            if finished:
                self._end(message)
        else:
            check_event(event, "citations")

    def _hold(self, message: _Message, piece: str, *, last: bool = False) -> None:
        for cut in message.cut(piece, last=last):
            if isinstance(cut, re.Match):
                self._waiting.append(_Marker(cut[0], message))
            elif cut:
                self._waiting.append(cut)

    def _end(self, message: _Message) -> None:
        self._hold(message, "", last=True)
        message.finished = True

    def _finish(self) -> None:
        for message in self._messages.values():
            self._end(message)

    def _send(self) -> None:
        """Emit what need not be held any more, and the end behind it."""
        if self._sending:  # a name came at once
            return
        self._sending = True
        try:
            texts: list[str] = []
            while self._waiting and self._ready(self._waiting[0]):
                texts.append(self._rendered(self._waiting.popleft()))
        except Exception as error:  # noqa: BLE001 -- the subscriber is told
            self._fail(error)
            return
        finally:
            self._sending = False
        text = "".join(texts)
        if text:
            self._observer.on_next(text)
        if self._completed and not self._waiting:
            self._observer.on_completed()

    def _ready(self, item: str | _Marker) -> bool:
        if isinstance(item, str) or self._render is None:
            return True
        annotation = item.message.annotations.get(item.text)
        if annotation is None:
            return item.message.finished
        return self._names.known(_file_id(annotation))

    def _rendered(self, item: str | _Marker) -> str:
        if isinstance(item, str):
            return item
        if self._render is None:
            return ""
        text: object = self._render(self._citation(item))
        if not isinstance(text, str):
            msg = f"render must give text, got {excerpt(text)} for {item.text}"
            raise TypeError(msg)
        return text

    def _citation(self, marker: _Marker) -> Citation:
        annotation = marker.message.annotations.get(marker.text)
        file_id = _file_id(annotation)
        quote, url, title = _told(annotation)
        number = self._numbers.setdefault(file_id or url or marker.text, len(self._numbers) + 1)
        return Citation(marker.text, number, file_id, self._names.get(file_id), quote, url, title)

    def _fail(self, error: Exception) -> None:
        self.held.dispose()
        self._observer.on_error(error)


def _annotate(message: _Message, annotations: Iterable[Annotation | AnnotationDelta]) -> None:
    for annotation in annotations:
        if isinstance(annotation, UnknownAnnotation | UnknownAnnotationDelta):
            text = annotation.raw.get("text")
        else:
            text = annotation.text
        if isinstance(text, str):
            message.annotations[text] = annotation


def _file_id(annotation: Annotation | AnnotationDelta | None) -> str | None:
    if isinstance(annotation, FileCitationAnnotation | FileCitationDeltaAnnotation):
        cited = annotation.file_citation
        return (cited.file_id or None) if cited else None
    return None


def _told(
    annotation: Annotation | AnnotationDelta | None,
) -> tuple[str | None, str | None, str | None]:
    """The quote, the address and the title of what is cited, as far as the service told."""
    if isinstance(annotation, FileCitationAnnotation | FileCitationDeltaAnnotation):
        cited = annotation.file_citation
        return (cited.quote or None) if cited else None, None, None
    if isinstance(annotation, UnknownAnnotation | UnknownAnnotationDelta):
        page = annotation.raw.get("url_citation")
        told = cast("Mapping[str, Any]", page if isinstance(page, dict) else {})
        return None, told.get("url"), told.get("title")
    return None, None, None
