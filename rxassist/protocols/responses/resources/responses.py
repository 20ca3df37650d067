"""``client.responses``: API reference, Responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, Unpack, cast

from rxassist.protocols.responses.known import Known
from rxassist.protocols.responses.models import (
    CompactedResponse,
    InputTokens,
    OutputItem,
    Response,
)
from rxassist.protocols.responses.parameters import (
    CompactParameters,
    HandlerT,
    InputItemsParameters,
    InputTokenParameters,
    ResponseCreateParameters,
    ResponsePollParameters,
    ResponseStreamParameters,
    ResumeStreamParameters,
    RetrieveParameters,
)
from rxassist.protocols.responses.rounds import flat_definitions
from rxassist.protocols.responses.starting import RESPONSE, RESPONSES, ResponseCall
from rxassist.reactive.loop import HomeT
from rxassist.reactive.observable import LoopObservable
from rxassist.runs.state import has_settled
from rxassist.runs.streams.run_stream import StreamT
from rxassist.wire.arguments import path
from rxassist.wire.calls import Connection, Listing, Resource
from rxassist.wire.options import PollOptions, RequestOptions
from rxassist.wire.values import Deleted


class InputItems(Resource[HomeT]):
    """The items that a response was given."""

    def list(
        self, response_id: str, **parameters: Unpack[InputItemsParameters]
    ) -> Listing[OutputItem, HomeT]:
        """The items, newest first: a cold Observable. ``GET /responses/{response_id}/input_items``.

        Keywords:

        - ``limit``: how many items one page has, from 1 to 100.
        - ``order``: ``"asc"`` gives the oldest items first, ``"desc"`` the newest.
        - ``after``: the id of an item: the list begins after it.
        - ``before``: the id of an item: the list ends before it.
        - ``include``: more fields to return, such as the results of searches.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(RESPONSE + "/input_items", response_id=response_id)
        return self._list(_ITEM, where, parameters, InputItemsParameters)


class InputTokenCounts(Resource[HomeT]):
    """Counts of tokens."""

    def count(
        self, **parameters: Unpack[InputTokenParameters]
    ) -> LoopObservable[InputTokens, HomeT]:
        """How many tokens an input would have: a cold Observable.

        ``POST /responses/input_tokens``.

        Keywords:

        - ``model``: the name of the model.
        - ``input``: the text for the model, or a list of items: messages, outputs of calls.
        - ``instructions``: the system instructions of this response; later responses do not take
          them over.
        - ``tools``: the tools of this response: functions, or mappings. Functions are sent as
          definitions.
        - ``tool_choice``: ``"auto"``, ``"none"``, ``"required"``, or the tool that the model must
          call.
        - ``parallel_tool_calls``: whether the model may make several calls at once.
        - ``previous_response_id``: the response that this one goes on with; not together with
          ``conversation``.
        - ``conversation``: the conversation, or its id, whose items come first, and that the answer
          is added to.
        - ``reasoning``: how a reasoning model thinks, such as ``{"effort": "low", "summary":
          "auto"}``.
        - ``text``: the form of the answer, such as ``{"format": {"type": "json_object"}}``.
        - ``truncation``: ``"auto"`` leaves out items of a long input, ``"disabled"`` refuses it.
        - ``personality``: a style that the model has, such as ``"friendly"``.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        request = self._request(
            "POST", RESPONSES + "/input_tokens", flat_definitions(parameters), InputTokenParameters
        )
        return self._call(InputTokens, request)


class Responses(Resource[HomeT], Generic[StreamT, HandlerT, HomeT]):
    """Responses, and what belongs to them."""

    input_items: InputItems[HomeT]
    input_tokens: InputTokenCounts[HomeT]

    def __init__(self, connection: Connection[HomeT], stream_class: type[StreamT]) -> None:
        super().__init__(connection)
        self._stream_class: Any = stream_class
        self.input_items = InputItems(connection)
        self.input_tokens = InputTokenCounts(connection)

    def create(
        self, **parameters: Unpack[ResponseCreateParameters]
    ) -> LoopObservable[Response, HomeT]:
        """Create a response, once: an Observable of it, whole unless it is in the background.

        It is created with the first subscription; every subscriber gets the same response.
        ``POST /responses``.

        Keywords:

        - ``model``: the name of the model.
        - ``input``: the text for the model, or a list of items: messages, outputs of calls.
        - ``instructions``: the system instructions of this response; later responses do not take
          them over.
        - ``tools``: the tools of this response: functions, or mappings. Functions are sent as
          definitions.
        - ``tool_choice``: ``"auto"``, ``"none"``, ``"required"``, or the tool that the model must
          call.
        - ``parallel_tool_calls``: whether the model may make several calls at once.
        - ``previous_response_id``: the response that this one goes on with; not together with
          ``conversation``.
        - ``conversation``: the conversation, or its id, whose items come first, and that the answer
          is added to.
        - ``reasoning``: how a reasoning model thinks, such as ``{"effort": "low", "summary":
          "auto"}``.
        - ``text``: the form of the answer, such as ``{"format": {"type": "json_object"}}``.
        - ``truncation``: ``"auto"`` leaves out items of a long input, ``"disabled"`` refuses it.
        - ``access_programs``: programs of access to special domains that the request uses.
        - ``image``: options for the images of the request.
        - ``prompt``: a stored prompt: a mapping with ``id``, ``version`` and ``variables``.
        - ``include``: more fields to return, such as ``"reasoning.encrypted_content"``.
        - ``max_output_tokens``: how many tokens the model may write, with what it thinks.
        - ``max_tool_calls``: how many calls of tools the service may make.
        - ``metadata``: up to 16 pairs of text, stored with the object.
        - ``temperature``: how random the answer is, from 0 to 2.
        - ``top_p``: the share of likely tokens that the model chooses from, from 0 to 1.
        - ``top_logprobs``: how many likely tokens are returned at each place, from 0 to 20.
        - ``store``: whether the service keeps the response (``True``): else it cannot be read
          again.
        - ``background``: whether the response goes on when nobody listens: then a lost stream is
          resumed.
        - ``background_options``: when a response in the background must be ready, such as
          ``{"completion_window": "2h"}``.
        - ``context_management``: how a long context is made smaller, such as ``[{"type":
          "compaction"}]``.
        - ``moderation``: how input and output are moderated.
        - ``service_tier``: how fast the service works, such as ``"flex"``.
        - ``safety_identifier``: a text that tells your users apart, for the service's checks of
          abuse.
        - ``prompt_cache_key``: a text that tells similar requests from others, for the service's
          cache.
        - ``prompt_cache_retention``: how long the service's cache keeps a prompt, such as
          ``"24h"``.
        - ``prompt_cache_options``: more options of the service's cache.
        - ``stream_options``: options of the stream, such as ``{"include_obfuscation": False}``.
        - ``user``: the older name of ``safety_identifier``.
        - ``if_busy``: what to do if another response works on the conversation: ``"fail"``, or
          ``"wait"``.
        - ``response_id``: the id that the response is to have, on services that take one (Azure AI
          Foundry).
        - ``text_format``: a class for the answer: it is sent as a schema, and ``Response.parse``
          reads the answer.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        return ResponseCall(self._connection, parameters, ResponseCreateParameters).create()

    def retrieve(
        self, response_id: str, **parameters: Unpack[RetrieveParameters]
    ) -> LoopObservable[Response, HomeT]:
        """The state of the response: a cold Observable. ``GET /responses/{response_id}``.

        Keywords:

        - ``include``: more fields to return, such as ``"reasoning.encrypted_content"``.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(RESPONSE, response_id=response_id)
        return self._call(Response, self._request("GET", where, parameters, RetrieveParameters))

    def delete(
        self, response_id: str, **options: Unpack[RequestOptions]
    ) -> LoopObservable[Deleted, HomeT]:
        """Delete a response: a cold Observable. ``DELETE /responses/{response_id}``.

        Keywords:

        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        return self._delete(path(RESPONSE, response_id=response_id), options)

    def cancel(
        self, response_id: str, **options: Unpack[RequestOptions]
    ) -> LoopObservable[Response, HomeT]:
        """Cancel a response in the background: a cold Observable of it.

        Any other response ends when its connection is closed.
        ``POST /responses/{response_id}/cancel``.

        Keywords:

        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(RESPONSE + "/cancel", response_id=response_id)
        return self._call(Response, self._request("POST", where, options))

    def compact(
        self, **parameters: Unpack[CompactParameters]
    ) -> LoopObservable[CompactedResponse, HomeT]:
        """Make a long context smaller: an Observable of the output, which is the next input.

        It is created with the first subscription, and only once. ``POST /responses/compact``.

        Keywords:

        - ``model``, required: the name of the model.
        - ``input``: the text for the model, or a list of items.
        - ``instructions``: the system instructions that come before the input.
        - ``previous_response_id``: the response whose context is made smaller.
        - ``image``: options for the images of the request.
        - ``prompt_cache_key``: a text that tells similar requests from others, for the service's
          cache.
        - ``prompt_cache_options``: more options of the service's cache.
        - ``prompt_cache_retention``: how long the service's cache keeps a prompt, such as
          ``"24h"``.
        - ``service_tier``: how fast the service works, such as ``"flex"``.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        request = self._request(
            "POST", RESPONSES + "/compact", parameters, CompactParameters, careful=True
        )
        return self._create(CompactedResponse, request)

    # --- streams ---

    def stream(self, **parameters: Unpack[ResponseStreamParameters[HandlerT]]) -> StreamT:
        """A new response, as a stream: created with the first subscription, and only once.

        With functions among ``tools`` it goes on with the response that gets their results, and so
        on: the stream is one run, of one response for each round. ``POST /responses``.

        Keywords:

        - ``model``: the name of the model.
        - ``input``: the text for the model, or a list of items: messages, outputs of calls.
        - ``instructions``: the system instructions of this response; later responses do not take
          them over.
        - ``tools``: the tools of this response: functions, or mappings. Functions are sent as
          definitions.
        - ``tool_choice``: ``"auto"``, ``"none"``, ``"required"``, or the tool that the model must
          call.
        - ``parallel_tool_calls``: whether the model may make several calls at once.
        - ``previous_response_id``: the response that this one goes on with; not together with
          ``conversation``.
        - ``conversation``: the conversation, or its id, whose items come first, and that the answer
          is added to.
        - ``reasoning``: how a reasoning model thinks, such as ``{"effort": "low", "summary":
          "auto"}``.
        - ``text``: the form of the answer, such as ``{"format": {"type": "json_object"}}``.
        - ``truncation``: ``"auto"`` leaves out items of a long input, ``"disabled"`` refuses it.
        - ``access_programs``: programs of access to special domains that the request uses.
        - ``image``: options for the images of the request.
        - ``prompt``: a stored prompt: a mapping with ``id``, ``version`` and ``variables``.
        - ``include``: more fields to return, such as ``"reasoning.encrypted_content"``.
        - ``max_output_tokens``: how many tokens the model may write, with what it thinks.
        - ``max_tool_calls``: how many calls of tools the service may make.
        - ``metadata``: up to 16 pairs of text, stored with the object.
        - ``temperature``: how random the answer is, from 0 to 2.
        - ``top_p``: the share of likely tokens that the model chooses from, from 0 to 1.
        - ``top_logprobs``: how many likely tokens are returned at each place, from 0 to 20.
        - ``store``: whether the service keeps the response (``True``): else it cannot be read
          again.
        - ``background``: whether the response goes on when nobody listens: then a lost stream is
          resumed.
        - ``background_options``: when a response in the background must be ready, such as
          ``{"completion_window": "2h"}``.
        - ``context_management``: how a long context is made smaller, such as ``[{"type":
          "compaction"}]``.
        - ``moderation``: how input and output are moderated.
        - ``service_tier``: how fast the service works, such as ``"flex"``.
        - ``safety_identifier``: a text that tells your users apart, for the service's checks of
          abuse.
        - ``prompt_cache_key``: a text that tells similar requests from others, for the service's
          cache.
        - ``prompt_cache_retention``: how long the service's cache keeps a prompt, such as
          ``"24h"``.
        - ``prompt_cache_options``: more options of the service's cache.
        - ``stream_options``: options of the stream, such as ``{"include_obfuscation": False}``.
        - ``user``: the older name of ``safety_identifier``.
        - ``if_busy``: what to do if another response works on the conversation: ``"fail"``, or
          ``"wait"``.
        - ``response_id``: the id that the response is to have, on services that take one (Azure AI
          Foundry).
        - ``text_format``: a class for the answer: it is sent as a schema, and ``Response.parse``
          reads the answer.
        - ``recover``: whether a run is followed to its end after its connection is lost (``True``).
        - ``recovery_timeout``: seconds for which the service may be out of reach then (60).
        - ``idle_timeout``: seconds of silence after which a stream is recovered; ``None`` for no
          bound.
        - ``deadline``: seconds after which the stream ends in an error; by default never.
        - ``replay``: ``False`` drops the events that every subscriber has received.
        - ``read_ahead``: how many events the stream may read ahead of a slow reader (1,024;
          ``None``: no bound).
        - ``on_dispose``: ``"cancel"`` cancels the run when the last reader leaves; ``"detach"``
          does not.
        - ``linger``: seconds for which the stream continues after the last subscriber has left (0).
        - ``event_handler``: its callbacks are called once for each event, before any subscriber.
        - ``queue_patience``: seconds for which a response may stay queued after its stream was lost
          (600).
        - ``on_reset``: what text does if the service begins a response anew: ``"raise"`` if it
          differs, ``"follow"`` it.
        - ``max_rounds``: how often the run may require tools (16); one more ends in
          ``ToolRoundsExceeded``.
        - ``max_concurrent_tools``: how many functions run at once; by default all calls of a round.
        - ``tool_timeout``: seconds for each function; by default no bound.
        - ``on_tool_error``: ``"tell"`` the model, ``"raise"`` a ``ToolError``, or a function of
          call and error.
        - ``approve``: a function that is called before each call: it returns ``True``, or a reason
          against it.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        call = ResponseCall(self._connection, parameters, ResponseStreamParameters)
        return self._stream(call.start())

    def resume(
        self,
        response_id: str,
        *,
        after: int | None = None,
        **parameters: Unpack[ResumeStreamParameters[HandlerT]],
    ) -> StreamT:
        """A response in the background that exists, as a stream, to its end.

        ``after`` is the ``sequence_number`` of the last event that you have, perhaps of another
        process: the stream begins behind it. Without it the stream begins at the first event, also
        if the service does not stream the response any more: then the events are made of what it
        has stored. ``GET /responses/{response_id}?stream=true&starting_after=…``.

        Keywords:

        - ``include``: more fields to return, such as ``"reasoning.encrypted_content"``.
        - ``include_obfuscation``: whether deltas have a field of random length, against who
          measures them (``True``).
        - ``recover``: whether a run is followed to its end after its connection is lost (``True``).
        - ``recovery_timeout``: seconds for which the service may be out of reach then (60).
        - ``idle_timeout``: seconds of silence after which a stream is recovered; ``None`` for no
          bound.
        - ``deadline``: seconds after which the stream ends in an error; by default never.
        - ``replay``: ``False`` drops the events that every subscriber has received.
        - ``read_ahead``: how many events the stream may read ahead of a slow reader (1,024;
          ``None``: no bound).
        - ``on_dispose``: ``"cancel"`` cancels the run when the last reader leaves; ``"detach"``
          does not.
        - ``linger``: seconds for which the stream continues after the last subscriber has left (0).
        - ``event_handler``: its callbacks are called once for each event, before any subscriber.
        - ``queue_patience``: seconds for which a response may stay queued after its stream was lost
          (600).
        - ``on_reset``: what text does if the service begins a response anew: ``"raise"`` if it
          differs, ``"follow"`` it.
        - ``max_rounds``: how often the run may require tools (16); one more ends in
          ``ToolRoundsExceeded``.
        - ``max_concurrent_tools``: how many functions run at once; by default all calls of a round.
        - ``tool_timeout``: seconds for each function; by default no bound.
        - ``on_tool_error``: ``"tell"`` the model, ``"raise"`` a ``ToolError``, or a function of
          call and error.
        - ``approve``: a function that is called before each call: it returns ``True``, or a reason
          against it.
        - ``tools``: the functions that are called when the response waits for them.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        return self._follow(Known(response_id=response_id, number=after), parameters)

    def _follow(self, known: Known, parameters: Mapping[str, Any]) -> StreamT:
        """A response that exists, as a stream, after what is known of it.

        What is known and what it emits is the whole stream, and nothing comes twice.
        """
        call = ResponseCall(self._connection, parameters, ResumeStreamParameters)
        return self._stream(call.follow(known))

    def _stream(self, plan: Any) -> StreamT:  # noqa: ANN401 -- a plan of its events
        return cast("StreamT", self._stream_class(self._connection.home, plan))

    # --- polls ---

    def poll(
        self, response_id: str, **options: Unpack[PollOptions]
    ) -> LoopObservable[Response, HomeT]:
        """Poll a response until it has ended, or waits: an Observable of it at each change.

        ``GET /responses/{response_id}``.

        Keywords:

        - ``poll_interval_ms``: milliseconds between two polls; by default the service's value, else
          1,000.
        - ``deadline``: seconds after which the poll ends in ``PollTimeout``; by default never.
        - ``at_once``: fetch at once, however many polls of the client begin together (``False``: in
          a herd, some time within the interval).
        - ``patience``: seconds for which the service may be out of reach, or not find an object it
          stores late.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        return self._poll(Response, RESPONSE, {"response_id": response_id}, options, has_settled)

    def create_and_poll(
        self, **parameters: Unpack[ResponsePollParameters]
    ) -> LoopObservable[Response, HomeT]:
        """Create a response once, and poll it to its end: an Observable of it at each change.

        Functions among ``tools`` are called, and the response that gets their results is polled
        in turn. Pass ``background=True``: a response that is not in the background is whole when
        it is created. ``POST /responses``.

        Keywords:

        - ``model``: the name of the model.
        - ``input``: the text for the model, or a list of items: messages, outputs of calls.
        - ``instructions``: the system instructions of this response; later responses do not take
          them over.
        - ``tools``: the tools of this response: functions, or mappings. Functions are sent as
          definitions.
        - ``tool_choice``: ``"auto"``, ``"none"``, ``"required"``, or the tool that the model must
          call.
        - ``parallel_tool_calls``: whether the model may make several calls at once.
        - ``previous_response_id``: the response that this one goes on with; not together with
          ``conversation``.
        - ``conversation``: the conversation, or its id, whose items come first, and that the answer
          is added to.
        - ``reasoning``: how a reasoning model thinks, such as ``{"effort": "low", "summary":
          "auto"}``.
        - ``text``: the form of the answer, such as ``{"format": {"type": "json_object"}}``.
        - ``truncation``: ``"auto"`` leaves out items of a long input, ``"disabled"`` refuses it.
        - ``access_programs``: programs of access to special domains that the request uses.
        - ``image``: options for the images of the request.
        - ``prompt``: a stored prompt: a mapping with ``id``, ``version`` and ``variables``.
        - ``include``: more fields to return, such as ``"reasoning.encrypted_content"``.
        - ``max_output_tokens``: how many tokens the model may write, with what it thinks.
        - ``max_tool_calls``: how many calls of tools the service may make.
        - ``metadata``: up to 16 pairs of text, stored with the object.
        - ``temperature``: how random the answer is, from 0 to 2.
        - ``top_p``: the share of likely tokens that the model chooses from, from 0 to 1.
        - ``top_logprobs``: how many likely tokens are returned at each place, from 0 to 20.
        - ``store``: whether the service keeps the response (``True``): else it cannot be read
          again.
        - ``background``: whether the response goes on when nobody listens: then a lost stream is
          resumed.
        - ``background_options``: when a response in the background must be ready, such as
          ``{"completion_window": "2h"}``.
        - ``context_management``: how a long context is made smaller, such as ``[{"type":
          "compaction"}]``.
        - ``moderation``: how input and output are moderated.
        - ``service_tier``: how fast the service works, such as ``"flex"``.
        - ``safety_identifier``: a text that tells your users apart, for the service's checks of
          abuse.
        - ``prompt_cache_key``: a text that tells similar requests from others, for the service's
          cache.
        - ``prompt_cache_retention``: how long the service's cache keeps a prompt, such as
          ``"24h"``.
        - ``prompt_cache_options``: more options of the service's cache.
        - ``stream_options``: options of the stream, such as ``{"include_obfuscation": False}``.
        - ``user``: the older name of ``safety_identifier``.
        - ``if_busy``: what to do if another response works on the conversation: ``"fail"``, or
          ``"wait"``.
        - ``response_id``: the id that the response is to have, on services that take one (Azure AI
          Foundry).
        - ``text_format``: a class for the answer: it is sent as a schema, and ``Response.parse``
          reads the answer.
        - ``poll_interval_ms``: milliseconds between two polls; by default the service's value, else
          1,000.
        - ``deadline``: seconds after which the poll ends in ``PollTimeout``; by default never.
        - ``at_once``: fetch at once, however many polls of the client begin together (``False``: in
          a herd, some time within the interval).
        - ``patience``: seconds for which the service may be out of reach, or not find an object it
          stores late.
        - ``on_dispose``: ``"cancel"`` cancels the run when readers leave or time is up;
          ``"detach"`` does not.
        - ``max_rounds``: how often the run may require tools (16); one more ends in
          ``ToolRoundsExceeded``.
        - ``max_concurrent_tools``: how many functions run at once; by default all calls of a round.
        - ``tool_timeout``: seconds for each function; by default no bound.
        - ``on_tool_error``: ``"tell"`` the model, ``"raise"`` a ``ToolError``, or a function of
          call and error.
        - ``approve``: a function that is called before each call: it returns ``True``, or a reason
          against it.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        call = ResponseCall(self._connection, parameters, ResponsePollParameters)
        return call.create_and_poll()


_ITEM: Any = OutputItem
