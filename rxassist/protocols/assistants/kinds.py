"""The things of a run that grow: one class for each kind, and one table for each family.

Each class says how a thing begins, what it is after one more delta, the finished object, and which
deltas are missing between what was heard and what is stored. To add a kind, write its class and
enter it in the table of its family.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self, TypeVar

from attrs import define, field

from rxassist.protocols.assistants.models import (
    Annotation,
    AnnotationDelta,
    CodeInterpreter,
    CodeInterpreterDelta,
    CodeInterpreterImage,
    CodeInterpreterImageDelta,
    CodeInterpreterLogsDelta,
    CodeInterpreterOutput,
    CodeInterpreterOutputImage,
    CodeInterpreterOutputLogs,
    CodeInterpreterToolCall,
    CodeInterpreterToolCallDelta,
    FileCitation,
    FileCitationAnnotation,
    FileCitationDeltaAnnotation,
    FilePath,
    FilePathAnnotation,
    FilePathDeltaAnnotation,
    FileSearch,
    FileSearchToolCall,
    FileSearchToolCallDelta,
    Function,
    FunctionDelta,
    FunctionToolCall,
    FunctionToolCallDelta,
    ImageFile,
    ImageFileContentBlock,
    ImageFileDeltaBlock,
    ImageURL,
    ImageURLContentBlock,
    ImageURLDeltaBlock,
    MessageContent,
    MessageContentDelta,
    OutputDelta,
    RefusalContentBlock,
    RefusalDeltaBlock,
    Text,
    TextContentBlock,
    TextDelta,
    TextDeltaBlock,
    ToolCall,
    ToolCallDelta,
    UnknownAnnotation,
    UnknownAnnotationDelta,
    UnknownCodeInterpreterOutput,
    UnknownContentBlock,
    UnknownContentDelta,
    UnknownDelta,
    UnknownOutputDelta,
    UnknownToolCall,
    UnknownToolCallDelta,
)
from rxassist.runs.growing import (
    NOTHING_YET,
    Growing,
    GrowingText,
    Keyed,
    Kind,
    Kinds,
    growing_json,
    grown_text,
    json_rest,
    plain_text,
    text_rest,
    with_extra,
)
from rxassist.wire.values import Unknown

_Unknown = TypeVar("_Unknown", bound=Unknown)


# --- unknown types -------------------------------------------------------------------------


def raw_of_delta(delta: UnknownDelta) -> Mapping[str, Any]:
    """The JSON that a delta adds: the service does not store its index."""
    return {key: value for key, value in delta.raw.items() if key != "index"}


def unknown(cls: type[_Unknown], raw: Growing[Any]) -> _Unknown:
    """The object of an unknown type."""
    value = raw.value()
    return cls(str(value.get("type") or ""), value)


def _raw_rest(stored: Unknown, thing: _UnknownPart | _UnknownOutput | _UnknownCall, of: str) -> Any:  # noqa: ANN401 -- raw JSON
    """The raw delta that is missing of a thing of an unknown type; empty for nothing."""
    added = json_rest(stored.raw, thing.raw.value(), of)
    return {**added, "type": stored.wire_type, "index": thing.index} if added else {}


# --- annotations: one delta brings all of each ---------------------------------------------


def _annotation(delta: AnnotationDelta) -> Annotation:
    if isinstance(delta, UnknownDelta):
        return UnknownAnnotation(delta.wire_type, raw_of_delta(delta))
    place, extra = (delta.start_index, delta.end_index), delta.extra or None
    if isinstance(delta, FileCitationDeltaAnnotation):
        citation = delta.file_citation or FileCitation()
        return FileCitationAnnotation(delta.text, citation, *place, extra=extra)
    return FilePathAnnotation(delta.text, delta.file_path or FilePath(), *place, extra=extra)


def _annotation_delta(index: int, stored: Annotation) -> AnnotationDelta:
    if isinstance(stored, UnknownAnnotation):
        return UnknownAnnotationDelta(stored.wire_type, {**stored.raw, "index": index})
    place = stored.start_index, stored.end_index
    if isinstance(stored, FileCitationAnnotation):
        return FileCitationDeltaAnnotation(index, stored.text, stored.file_citation, *place)
    return FilePathDeltaAnnotation(index, stored.text, stored.file_path, *place)


# --- parts of a message --------------------------------------------------------------------


@define(eq=False)
class GrowingPart(Kind[Any, Any]):
    """A part of a message. A delta of another kind goes on with the text that is there."""

    text: GrowingText = ""
    annotations: Keyed[Annotation] = NOTHING_YET

    def places(self) -> tuple[int, ...]:
        """The index, and those of the annotations."""
        return (self.index, *self.annotations.keys())

    def kept(self) -> tuple[Any, ...]:
        """All that every part has."""
        return self.index, self.begun, self.text, self.annotations


@define(eq=False)
class TextPart(GrowingPart):
    """Text, and the annotations on it."""

    type = "text"

    @classmethod
    def begin(cls, places: Sequence[int], whole: TextContentBlock) -> Self:
        """Text that begins with some text and annotations."""
        index, *inner = places
        annotations, marks = NOTHING_YET, whole.text.annotations
        for place, mark in zip(inner or range(len(marks)), marks, strict=False):
            annotations = annotations.put(place, mark)
        return cls(index, whole, whole.text.value or "", annotations)

    def plus(self, delta: TextDeltaBlock) -> TextPart:
        """The text with one more piece, and more annotations."""
        said = delta.text
        if said is None:
            return self
        annotations, begun = self.annotations, self.begun
        for mark in said.annotations:
            annotations = annotations.put(mark.index, _annotation(mark))
        if delta.extra or said.extra:
            text = Text(extra=said.extra or None)
            begun = with_extra(TextContentBlock(text, extra=delta.extra or None), begun)
        return TextPart(self.index, begun, grown_text(self.text, said.value), annotations)

    def build(self) -> TextContentBlock:
        """The text so far."""
        text = Text(plain_text(self.text), tuple(self.annotations))
        return with_extra(TextContentBlock(text), self.begun)

    def rest(self, stored: TextContentBlock, of: str, /) -> Iterator[TextDeltaBlock]:
        """The rest of the text, and the annotations after those that were heard."""
        text = text_rest(stored.text.value, self.text, of)
        known = self.annotations.count
        added = enumerate(stored.text.annotations[known:], known)
        annotations = tuple(_annotation_delta(place, mark) for place, mark in added)
        if text or annotations or self.begun is None:
            yield TextDeltaBlock(self.index, TextDelta(text, annotations))


@define(eq=False)
class _RefusalPart(GrowingPart):
    type = "refusal"

    @classmethod
    def begin(cls, places: Sequence[int], whole: RefusalContentBlock) -> Self:
        return cls(places[0], whole, whole.refusal or "")

    def plus(self, delta: RefusalDeltaBlock) -> _RefusalPart:
        begun = self.begun
        if delta.extra:
            begun = with_extra(RefusalContentBlock(extra=delta.extra), begun)
        grown = grown_text(self.text, delta.refusal)
        return _RefusalPart(self.index, begun, grown, self.annotations)

    def build(self) -> RefusalContentBlock:
        return with_extra(RefusalContentBlock(plain_text(self.text)), self.begun)

    def rest(self, stored: RefusalContentBlock, of: str, /) -> Iterator[RefusalDeltaBlock]:
        refusal = text_rest(stored.refusal, self.text, of)
        if refusal or self.begun is None:
            yield RefusalDeltaBlock(self.index, refusal)


@define(eq=False)
class _ImageFilePart(GrowingPart):
    type = "image_file"

    def plus(self, delta: ImageFileDeltaBlock) -> _ImageFilePart:
        file = ImageFileContentBlock(delta.image_file or ImageFile(), extra=delta.extra or None)
        return _ImageFilePart(self.index, file, self.text, self.annotations)

    def rest(self, stored: ImageFileContentBlock, _: str, /) -> Iterator[ImageFileDeltaBlock]:
        if self.begun is None:
            yield ImageFileDeltaBlock(self.index, stored.image_file)


@define(eq=False)
class _ImageURLPart(GrowingPart):
    type = "image_url"

    def plus(self, delta: ImageURLDeltaBlock) -> _ImageURLPart:
        url = ImageURLContentBlock(delta.image_url or ImageURL(), extra=delta.extra or None)
        return _ImageURLPart(self.index, url, self.text, self.annotations)

    def rest(self, stored: ImageURLContentBlock, _: str, /) -> Iterator[ImageURLDeltaBlock]:
        if self.begun is None:
            yield ImageURLDeltaBlock(self.index, stored.image_url)


@define(eq=False)
class _UnknownPart(GrowingPart):
    type = "unknown"
    raw: Growing[Any] = field(factory=growing_json)

    @classmethod
    def begin(cls, places: Sequence[int], whole: UnknownContentBlock) -> Self:
        return cls(places[0], raw=growing_json(whole.raw))

    def plus(self, delta: UnknownContentDelta) -> _UnknownPart:
        raw = self.raw.plus(raw_of_delta(delta))
        return _UnknownPart(self.index, None, self.text, self.annotations, raw)

    def build(self) -> UnknownContentBlock:
        return unknown(UnknownContentBlock, self.raw)

    def rest(self, stored: UnknownContentBlock, of: str, /) -> Iterator[UnknownContentDelta]:
        if raw := _raw_rest(stored, self, of):
            yield UnknownContentDelta(stored.wire_type, raw)


PARTS: Kinds[GrowingPart, MessageContent, MessageContentDelta] = Kinds(
    TextPart, _RefusalPart, _ImageFilePart, _ImageURLPart, _UnknownPart
)


# --- outputs of the code interpreter -------------------------------------------------------


@define(eq=False)
class _GrowingOutput(Kind[Any, Any]):
    """An output. A delta of another kind goes on with the logs that are there."""

    logs: GrowingText = ""

    def kept(self) -> tuple[Any, ...]:
        return self.index, self.begun, self.logs


@define(eq=False)
class _LogsOutput(_GrowingOutput):
    type = "logs"

    @classmethod
    def begin(cls, places: Sequence[int], whole: CodeInterpreterOutputLogs) -> Self:
        return cls(places[0], whole, whole.logs or "")

    def plus(self, delta: CodeInterpreterLogsDelta) -> _LogsOutput:
        return _LogsOutput(self.index, self.begun, grown_text(self.logs, delta.logs))

    def build(self) -> CodeInterpreterOutputLogs:
        return CodeInterpreterOutputLogs(plain_text(self.logs))

    def rest(
        self, stored: CodeInterpreterOutputLogs, of: str, /
    ) -> Iterator[CodeInterpreterLogsDelta]:
        logs = text_rest(stored.logs, self.logs, of)
        if logs or self.begun is None:
            yield CodeInterpreterLogsDelta(self.index, logs)


@define(eq=False)
class _ImageOutput(_GrowingOutput):
    type = "image"

    def plus(self, delta: CodeInterpreterImageDelta) -> _ImageOutput:
        image = delta.image or CodeInterpreterImage()
        drawn = CodeInterpreterOutputImage(image, extra=delta.extra or None)
        return _ImageOutput(self.index, drawn, self.logs)

    def rest(
        self, stored: CodeInterpreterOutputImage, _: str, /
    ) -> Iterator[CodeInterpreterImageDelta]:
        if self.begun is None:
            yield CodeInterpreterImageDelta(self.index, stored.image)


@define(eq=False)
class _UnknownOutput(_GrowingOutput):
    type = "unknown"
    raw: Growing[Any] = field(factory=growing_json)

    @classmethod
    def begin(cls, places: Sequence[int], whole: UnknownCodeInterpreterOutput) -> Self:
        return cls(places[0], raw=growing_json(whole.raw))

    def plus(self, delta: UnknownOutputDelta) -> _UnknownOutput:
        return _UnknownOutput(self.index, None, self.logs, self.raw.plus(raw_of_delta(delta)))

    def build(self) -> UnknownCodeInterpreterOutput:
        return unknown(UnknownCodeInterpreterOutput, self.raw)

    def rest(
        self, stored: UnknownCodeInterpreterOutput, of: str, /
    ) -> Iterator[UnknownOutputDelta]:
        if raw := _raw_rest(stored, self, of):
            yield UnknownOutputDelta(stored.wire_type, raw)


_OUTPUTS: Kinds[_GrowingOutput, CodeInterpreterOutput, OutputDelta] = Kinds(
    _LogsOutput, _ImageOutput, _UnknownOutput
)


# --- tool calls: their outputs and results come with the end of the step, so not in `rest` ---


@define(eq=False)
class GrowingCall(Kind[Any, Any]):
    """A call of a tool. A delta of another kind begins another call."""

    id: str = ""


@define(eq=False)
class _FunctionCall(GrowingCall):
    type = "function"
    name: str = ""
    arguments: GrowingText = ""
    output: str | None = None

    @classmethod
    def begin(cls, places: Sequence[int], whole: FunctionToolCall) -> Self:
        said = whole.function
        return cls(places[0], whole, whole.id, said.name, said.arguments or "", said.output)

    def plus(self, delta: FunctionToolCallDelta) -> _FunctionCall:
        added = delta.function or FunctionDelta()
        begun = self.begun
        if delta.extra or added.extra:
            function = Function(extra=added.extra or None)
            begun = with_extra(FunctionToolCall("", function, extra=delta.extra or None), begun)
        return _FunctionCall(
            self.index,
            begun,
            delta.id or self.id,
            added.name or self.name,
            grown_text(self.arguments, added.arguments),
            self.output if added.output is None else added.output,
        )

    def build(self) -> FunctionToolCall:
        function = Function(self.name, plain_text(self.arguments), self.output)
        return with_extra(FunctionToolCall(self.id, function), self.begun)

    def rest(self, stored: FunctionToolCall, _: str, /) -> Iterator[FunctionToolCallDelta]:
        arguments = text_rest(stored.function.arguments, self.arguments, stored.id)
        if self.begun is None:
            function = FunctionDelta(stored.function.name, arguments)
            yield FunctionToolCallDelta(self.index, stored.id, function)
        elif arguments:
            yield FunctionToolCallDelta(self.index, None, FunctionDelta(None, arguments))


@define(eq=False)
class _CodeCall(GrowingCall):
    """A run of the code interpreter. An output of one delta is kept as that delta."""

    type = "code_interpreter"
    input: GrowingText = ""
    outputs: Keyed[_GrowingOutput | OutputDelta] = NOTHING_YET

    @classmethod
    def begin(cls, places: Sequence[int], whole: CodeInterpreterToolCall) -> Self:
        index, *inner = places
        outputs, told = NOTHING_YET, whole.code_interpreter.outputs
        for place, output in zip(inner or range(len(told)), told, strict=False):
            outputs = outputs.put(place, _OUTPUTS.begin((place,), output))
        return cls(index, whole, whole.id, whole.code_interpreter.input or "", outputs)

    def plus(self, delta: CodeInterpreterToolCallDelta) -> _CodeCall:
        added = delta.code_interpreter or CodeInterpreterDelta()
        outputs, begun = self.outputs, self.begun
        for output in added.outputs:
            known = outputs.get(output.index)
            told = output if known is None else _OUTPUTS.plus(_output(known), output)
            outputs = outputs.put(output.index, told)
        if delta.extra or added.extra:
            code = CodeInterpreter(extra=added.extra or None)
            begun = with_extra(CodeInterpreterToolCall("", code, extra=delta.extra or None), begun)
        grown = grown_text(self.input, added.input)
        return _CodeCall(self.index, begun, delta.id or self.id, grown, outputs)

    def build(self) -> CodeInterpreterToolCall:
        outputs = tuple([_output(output).build() for output in self._in_order()])
        ran = CodeInterpreter(plain_text(self.input), outputs)
        return with_extra(CodeInterpreterToolCall(self.id, ran), self.begun)

    def rest(
        self, stored: CodeInterpreterToolCall, _: str, /
    ) -> Iterator[CodeInterpreterToolCallDelta]:
        code = stored.code_interpreter
        typed = text_rest(code.input, self.input, stored.id)
        if typed or self.begun is None:
            id_ = stored.id if self.begun is None else None
            yield CodeInterpreterToolCallDelta(self.index, id_, CodeInterpreterDelta(typed))
        heard = self.build().code_interpreter.outputs[: len(code.outputs)]  # more are no mistake
        outputs = tuple(_OUTPUTS.rest(code.outputs, heard, stored.id))
        if outputs:
            said = CodeInterpreterDelta(None, outputs)
            yield CodeInterpreterToolCallDelta(self.index, None, said)

    def places(self) -> tuple[int, ...]:
        return (self.index, *(output.index for output in self._in_order()))

    def _in_order(self) -> list[_GrowingOutput | OutputDelta]:
        return self.outputs.in_order(lambda output: output.index)


def _output(output: _GrowingOutput | OutputDelta) -> _GrowingOutput:
    return output if isinstance(output, _GrowingOutput) else _OUTPUTS.plus(None, output)


@define(eq=False)
class _SearchCall(GrowingCall):
    type = "file_search"
    file_search: FileSearch = FileSearch()

    @classmethod
    def begin(cls, places: Sequence[int], whole: FileSearchToolCall) -> Self:
        return cls(places[0], whole, whole.id, whole.file_search)

    def plus(self, delta: FileSearchToolCallDelta) -> _SearchCall:
        found, begun = delta.file_search, self.begun
        if found is None or found == FileSearch():  # an empty one takes nothing back
            found = self.file_search
        if delta.extra:
            begun = with_extra(FileSearchToolCall("", FileSearch(), extra=delta.extra), begun)
        return _SearchCall(self.index, begun, delta.id or self.id, found)

    def build(self) -> FileSearchToolCall:
        return with_extra(FileSearchToolCall(self.id, self.file_search), self.begun)

    def rest(self, stored: FileSearchToolCall, _: str, /) -> Iterator[FileSearchToolCallDelta]:
        if self.begun is None:
            search = FileSearch(stored.file_search.ranking_options)
            yield FileSearchToolCallDelta(self.index, stored.id, search)


@define(eq=False)
class _UnknownCall(GrowingCall):
    type = "unknown"
    raw: Growing[Any] = field(factory=growing_json)

    @classmethod
    def begin(cls, places: Sequence[int], whole: UnknownToolCall) -> Self:
        return cls(places[0], None, whole.id, growing_json(whole.raw))

    def plus(self, delta: UnknownToolCallDelta) -> _UnknownCall:
        raw = self.raw.plus(raw_of_delta(delta))
        return _UnknownCall(self.index, None, delta.id or self.id, raw)

    def build(self) -> UnknownToolCall:
        return unknown(UnknownToolCall, self.raw)

    def rest(self, stored: UnknownToolCall, of: str, /) -> Iterator[UnknownToolCallDelta]:
        if raw := _raw_rest(stored, self, of):
            yield UnknownToolCallDelta(stored.wire_type, raw)


CALLS: Kinds[GrowingCall, ToolCall, ToolCallDelta] = Kinds(
    _FunctionCall, _CodeCall, _SearchCall, _UnknownCall
)


__all__ = ["CALLS", "PARTS", "GrowingCall", "GrowingPart", "TextPart", "raw_of_delta", "unknown"]
