"""Text with citations that people can read."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from inspect import iscoroutinefunction
from typing import Self

from attrs import frozen
from reactivex import Observable, abc, just
from reactivex.disposable import CompositeDisposable, SingleAssignmentDisposable

from rxassist.errors import excerpt
from rxassist.reactive.kernel import linked
from rxassist.reactive.links import Hold
from rxassist.reactive.logger import logger
from rxassist.reactive.typing import Operator
from rxassist.runs.events import AnyEvent
from rxassist.runs.operators.markers import Mark, Message, Part, Shape, of_pattern, of_the_service
from rxassist.runs.operators.text import Position, TextReader
from rxassist.runs.protocol import Cited, Citing


@frozen
class Citation:
    """A marker in a text, such as ``【4:0†source】``, and the source that it cites.

    ``number`` counts the sources of the run from 1, in the order in which the text names them; two
    markers of one file have the same. A value that the service did not send is ``None``, and so is
    ``file_name`` if it was not looked up or not found. ``url`` and ``title`` are those of a page of
    the web. ``is_path``: the marker is the path of a file that the code interpreter made
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
) -> Operator[AnyEvent | str, str]:
    r"""Emit the assistant's text as it grows, its citation markers taken out or replaced.

    Takes the events of a run, or text. A marker is the text that an annotation names, whatever it
    looks like, at the position that the annotation gives, in characters or in UTF-16 units; if the
    text is not there, where it is nearest. The service's own markers (``【4:0†source】``) count
    without an annotation, too, as the service forgets some and text has none. A finished message
    takes back no annotation that its deltas brought.

    ``render`` returns the text for a marker: ``lambda cited: f"[{cited.number}]"``; without it the
    markers are taken out, except for paths of files, which stay. ``file_name`` looks up the name of
    a file by its id, once for each file of a subscription, unless the service sent the name: it
    returns an Observable, whose first item counts, or the name. If there is none or the look-up
    fails, the name is ``None``.

    Emitted text cannot be replaced, so text that may become a marker is held back: the service's
    own markers, and paths (``sandbox:/…``) if ``render`` is given. ``marker`` is a regular
    expression, as text or compiled, of the text to hold back instead: ``r"\[doc\d+\]"``; it needs
    the extra ``rxassist[text]``. A match waits, with all text after it, for its annotation; if none
    has come when the message is finished, the match is emitted as text. A marker of the service's
    own waits too if ``render`` is given, and so does one whose file's name has not come. A marker
    has at most 200 characters and lies within one part of one message.

    The texts of responses have no markers: their annotations name places. A place in the text (of a
    file) is an empty marker, at which ``render`` adds its text. A stretch of it is the marker: a
    link to a page, or the path of a file. A link is held back until its annotation or the next
    delta of its part; one that is annotated later is emitted as text unless ``marker`` matches it.
    Its title has at most 200 characters, its address 2,000. An annotation without a place is left
    out.

    No marker is ever split between two emissions. Whatever the cuts of the deltas, the strings
    together are the same text if markers are held back. If the source fails, the held text is
    emitted before the error. Completes with its source, when all names are known. An exception of
    ``render`` goes to ``on_error``, and so does a ``TypeError`` if it returns no text. Raises
    ``TypeError`` for values that cannot be called, and for coroutine functions; ``TypeError`` or
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
    paths = render is not None
    shape = of_the_service(paths=paths) if marker is None else of_pattern(marker)
    with_links = of_the_service(paths=paths, links=True) if marker is None else shape

    return linked(lambda observer, _: _Citations(observer, render, file_name, (shape, with_links)))


class _Names:
    """The names of files, each looked up once."""

    def __init__(
        self,
        look_up: Callable[[str], Observable[str] | str] | None,
        found: Callable[[], None],
    ) -> None:
        self._look_up = look_up
        self._found = found
        self.held: CompositeDisposable = CompositeDisposable()  # the look-ups that are under way
        self._names: dict[str, str | None] = {}
        self._asked: set[str] = set()

    def known(self, file_id: str | None) -> bool:
        """Whether the name of a file is known; begins to look it up if it is not."""
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
        self.held.add(asking)

        def found_name(name: str | None = None) -> None:
            if file_id not in self._names:
                self._names[file_id] = name
                self.held.remove(asking)
                self._found()

        def could_not(error: Exception) -> None:
            logger.debug("the name of file %s was not found: %s", file_id, error)
            found_name()

        try:
            found: object = look_up(file_id)
        except Exception as error:  # noqa: BLE001 -- as if the look-up had failed
            could_not(error)
            return
        if not isinstance(found, Observable | str):
            msg = f"file_name must give an Observable or text, got {excerpt(found)}"
            raise TypeError(msg)
        names = just(found) if isinstance(found, str) else found
        asking.disposable = names.subscribe(found_name, could_not, found_name)


class _Citations(Hold["AnyEvent | str", str]):
    """One subscription: the text that is held back, in order."""

    def __init__(
        self,
        observer: abc.ObserverBase[str],
        render: Callable[[Citation], str] | None,
        file_name: Callable[[str], Observable[str] | str] | None,
        shapes: tuple[Shape, Shape],
    ) -> None:
        super().__init__(observer)
        self._render = render
        self._shapes = shapes
        self._citing: Citing | None = None
        self._reader = TextReader()
        self._messages: dict[Hashable, Message] = {None: Message(finished=True)}
        self._parts: dict[Position | None, Part] = {}
        self._turns: deque[tuple[Part, int]] = deque()  # the next part to emit, and up to where
        self._sources: dict[str, int] = {}
        self._paths: dict[str, int] = {}
        self._completed = False
        self._sending = False
        self._names = _Names(file_name, self._send)
        self.hold(self._names.held)

    def follow(
        self, source: Observable[AnyEvent | str], scheduler: abc.SchedulerBase | None
    ) -> Self:
        return self.hold(source.subscribe(self, scheduler=scheduler))

    def on_next(self, value: AnyEvent | str) -> None:
        try:
            self._take(value)
        except Exception as error:  # noqa: BLE001 -- reported to the subscriber
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
            self.observer.on_next(text)
        self._fail(error)

    def _take(self, item: AnyEvent | str) -> None:
        annotated = self._annotations(item)
        last: dict[Part, bool] = {}
        for position, piece in self._reader.read(item):
            part = self._part(position)
            last[part] = piece is None
            if piece is not None:
                part.add(piece)
        for position, noted in annotated:
            part = self._part(position)
            part.note(noted)
            last.setdefault(part, False)
        for part, ends in last.items():
            self._turns.append((part, part.decide(last=ends)))
        if isinstance(item, AnyEvent) and not item.is_delta:
            for whole in item.texts():
                if whole.finished:
                    self._end(whole.key)

    def _annotations(self, item: AnyEvent | str) -> list[tuple[Position, tuple[Cited, ...]]]:
        """The annotations of an item, by the position of their part. Call it before ``read``."""
        if self._citing is None and isinstance(item, AnyEvent):
            protocol = item.protocol()
            self._citing = None if protocol is None else protocol.citing
        if self._citing is None or not isinstance(item, AnyEvent):
            return []
        return list(self._citing.cited(item, self._reader.seen))

    def _part(self, position: Position | None) -> Part:
        if position not in self._parts:
            message = self._messages.setdefault(position[0] if position else None, Message())
            has_links = self._citing is not None and self._citing.has_links
            self._parts[position] = Part(message, self._shapes[has_links])
        return self._parts[position]

    def _end(self, key: Hashable) -> None:
        """End the texts of a message: no event of it follows."""
        for position in [position for position in self._parts if position and position[0] == key]:
            part = self._parts.pop(position)
            self._turns.append((part, part.decide(last=True)))
        message = self._messages.pop(key, None)
        if message is not None:
            message.finished = True

    def _finish(self) -> None:
        for part in self._parts.values():
            part.message.finished = True
            self._turns.append((part, part.decide(last=True)))

    def _send(self) -> None:
        """Emit the text that need not be held any more, and then the end."""
        if self._sending:  # a look-up returned its name at once
            return
        self._sending = True
        try:
            text = "".join(self._going_out())
        except Exception as error:  # noqa: BLE001 -- reported to the subscriber
            self._fail(error)
            return
        finally:
            self._sending = False
        if text:
            self.observer.on_next(text)
        if self._completed and not self._turns:
            self.observer.on_completed()

    def _going_out(self, *, patient: bool = True) -> Iterator[str]:
        """The text up to the first marker whose annotation or name has not come."""
        while self._turns:
            part, end = self._turns[0]
            mark = part.next_mark()
            if mark is None or mark.is_behind(end):
                yield part.take(end)
                self._turns.popleft()
                continue
            yield part.take(mark.begin)
            annotation = mark.annotation or part.message.annotations.get(mark.text)
            if patient and not self._ready(mark, annotation, part):
                return
            part.skip_mark(mark)
            yield self._replaced(mark, annotation)

    def _ready(self, mark: Mark, annotation: Cited | None, part: Part) -> bool:
        if self._render is None and mark.certain:
            return True
        if annotation is None:
            return part.message.finished or part.has_passed(mark)
        if self._render is None or annotation.file_name is not None:
            return True
        return self._names.known(annotation.file_id)

    def _replaced(self, mark: Mark, annotation: Cited | None) -> str:
        if annotation is None and not mark.certain:
            return mark.text
        if self._render is None:
            return mark.text if annotation is not None and annotation.is_path else ""
        text: object = self._render(self._citation(mark.text, annotation))
        if not isinstance(text, str):
            msg = f"render must give text, got {excerpt(text)} for {mark.text}"
            raise TypeError(msg)
        return text

    def _citation(self, marker: str, annotation: Cited | None) -> Citation:
        cited = annotation or Cited()
        numbers = self._paths if cited.is_path else self._sources
        number = numbers.setdefault(cited.file_id or cited.url or marker, len(numbers) + 1)
        return Citation(
            marker,
            number,
            cited.file_id,
            cited.file_name or self._names.get(cited.file_id),
            cited.quote,
            cited.url,
            cited.title,
            cited.is_path,
        )

    def _fail(self, error: Exception) -> None:
        self.dispose()
        self.observer.on_error(error)


__all__ = ["Citation", "citations"]
