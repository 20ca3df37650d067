"""Local services, and a plain HTTP client for them that speaks JSON and streams."""

from contextlib import ExitStack, contextmanager
from itertools import groupby

import httpx
import pytest

from rxassist.local import LocalService
from rxassist.protocols.assistants.codec import EventDecoder


class Caller:
    """Plain HTTP on one service, with an assistant and a thread at hand."""

    def __init__(self, base_url):
        self.http = httpx.Client(base_url=base_url, timeout=10)

    def get(self, path, **query):
        return self._checked(self.http.get(path, params=query))

    def post(self, path, **body):
        return self._checked(self.http.post(path, json=body))

    def delete(self, path):
        return self._checked(self.http.delete(path))

    def refused(self, method, path, *, status=400, body=None, query=None):
        """The error object of a request that must be refused."""
        answer = self.http.request(method, path, json=body, params=query)
        assert answer.status_code == status, answer.text
        error = answer.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        return error

    def assistant(self, **described):
        return self.post("/assistants", **{"model": "gpt-4o", **described})["id"]

    def thread(self, *texts):
        messages = [{"role": "user", "content": text} for text in texts]
        return self.post("/threads", messages=messages)["id"]

    def upload(self, content=b"words", name="notes.txt", purpose="assistants", **fields):
        """A file."""
        body = {"purpose": purpose, **fields}
        return self._checked(self.http.post("/files", files={"file": (name, content)}, data=body))

    def store(self, *file_ids, **described):
        """The path of a vector store."""
        store = self.post("/vector_stores", file_ids=file_ids, **described)
        return f"/vector_stores/{store['id']}"

    def start(self, *texts, **body):
        """A run that nobody listens to."""
        thread_id = self.thread(*texts)
        return self.post(f"/threads/{thread_id}/runs", assistant_id=self.assistant(), **body)

    @contextmanager
    def streaming(self, path, **body):
        """The events of a streamed answer, while it comes."""
        with self.http.stream("POST", path, json={**body, "stream": True}) as answer:
            assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
            decoder = EventDecoder()
            yield (event for chunk in answer.iter_bytes() for event in decoder.feed(chunk))

    def stream(self, path, **body):
        """All events of a streamed answer."""
        with self.streaming(path, **body) as events:
            return list(events)

    def perform(self, *texts, thread_id=None, **body):
        """All events of the first stream of a run."""
        thread_id = thread_id or self.thread(*texts)
        body.setdefault("assistant_id", self.assistant())
        return self.stream(f"/threads/{thread_id}/runs", **body)

    def submit(self, run, *outputs, **body):
        """All events of the next stream."""
        calls = run.required_action.submit_tool_outputs.tool_calls
        pairs = [
            {"tool_call_id": call.id, "output": output}
            for call, output in zip(calls, outputs, strict=True)
        ]
        return self.stream(_path(run) + "/submit_tool_outputs", tool_outputs=pairs, **body)

    @staticmethod
    def _checked(answer):
        assert answer.status_code == 200, answer.text
        return answer.json()


def _path(run):
    return f"/threads/{run.thread_id}/runs/{run.id}"


@pytest.fixture
def serve():
    """Start local services: ``serve(script, **options)``."""
    with ExitStack() as stack:
        yield lambda script=None, **options: stack.enter_context(LocalService(script, **options))


@pytest.fixture
def connect():
    """A caller for a service."""
    with ExitStack() as stack:

        def connect(service):
            caller = Caller(service.base_url)
            stack.callback(caller.http.close)
            return caller

        yield connect


@pytest.fixture
def perform(serve, connect):
    """Perform a script in a service of its own: the events of its first stream."""
    return lambda script, *texts, **body: connect(serve(script)).perform(*texts, **body)


@pytest.fixture
def names():
    """The names of events, each series of the same name once."""
    return lambda events: [name for name, _ in groupby(event.event for event in events)]


@pytest.fixture
def path_of():
    """The path of a run."""
    return _path


@pytest.fixture
def serving():
    """A program that serves until it is told to stop, and prints where it does."""
    return (
        "from rxassist.local import LocalService\n"
        "service = LocalService()\n"
        "service.start()\n"
        "print(service.base_url, flush=True)\n"
        "service.serve_forever()\n"
    )
