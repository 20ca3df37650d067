"""Prints the table of docs/migrating.md: every method of the official SDK, and ours.

    python benchmarks/methods.py

Reads both libraries as they are installed, and needs the dependency group ``tests``.
"""

import inspect
import sys
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, get_type_hints

import openai

from rxassist import Client

RESOURCES = (
    "beta.assistants",
    "beta.threads",
    "beta.threads.messages",
    "beta.threads.runs",
    "beta.threads.runs.steps",
    "conversations",
    "conversations.items",
    "files",
    "responses",
    "responses.input_items",
    "responses.input_tokens",
    "vector_stores",
    "vector_stores.files",
    "vector_stores.file_batches",
)
INSTEAD = {
    "stream": "the method that streams",
    "max_wait_seconds": "`deadline`",
    "poll_interval": "`poll_interval_ms`",
    "id": "`file_id`",
    "create_and_stream": "`stream`",
    "connect": "no WebSockets here; `stream` is over HTTP",
    "parse": "`create(text_format=…)` and `Response.parse`",
    "starting_after": "`resume(after=…)`",
    "include_obfuscation": "`resume(include_obfuscation=…)`",
}
"""What takes the place of a name that is not here."""

NAMED = {"StreamT": "a stream", "FileOutcomes": "a list of `VectorStoreFile`"}
"""What an annotation of ours is called in the table."""


def methods_of(client: object, resource: str) -> dict[str, Any]:
    """The public methods of a resource, by name."""
    for part in resource.split("."):
        client = getattr(client, part)
    found = inspect.getmembers(client, inspect.ismethod)
    return {name: method for name, method in found if not name.startswith("_")}


def names_of(method: Any) -> set[str]:
    """The parameters of a method, those of its keywords included."""
    names: set[str] = set()
    for name, parameter in inspect.signature(method).parameters.items():
        text = str(parameter.annotation)
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            names.add(name)
        elif text.startswith("Unpack["):
            module = sys.modules[method.__module__]
            options = getattr(module, text.removeprefix("Unpack[").rstrip("]").split("[")[0])
            names |= get_type_hints(options).keys()
    return names


def given_by(method: Any) -> str:
    """What a method of ours gives, in short."""
    text = str(inspect.signature(method).return_annotation)
    if text in NAMED:
        return NAMED[text]
    item = text.partition("[")[2].removesuffix("]").removesuffix(", HomeT")
    return f"a list of `{item}`" if text.startswith("Listing") else f"`{item}`"


def rows(theirs: Mapping[str, Any], ours: Mapping[str, Any], resource: str) -> Iterator[str]:
    """A row for each method of theirs, and one for each that only we have."""
    for name, method in theirs.items():
        where = f"`{resource}.{name}`"
        if name not in ours:
            yield f"| {where} | – | {INSTEAD[name]} |"
            continue
        missing = sorted(names_of(method) - names_of(ours[name]))
        notes = [f"`{each}`: {INSTEAD[each]}" for each in missing]
        yield f"| {where} | {given_by(ours[name])} | {'; '.join(notes)} |"
    for name in sorted(ours.keys() - theirs.keys()):
        yield f"| – | `{resource}.{name}`: {given_by(ours[name])} | |"


def table() -> str:
    """The whole table."""
    lines = [f"| openai {openai.__version__} | rxassist gives | instead of |", "|---|---|---|"]
    with warnings.catch_warnings(), Client(base_url="http://127.0.0.1:1/v1") as ours:
        warnings.simplefilter("ignore")  # theirs says that it is deprecated
        theirs = openai.OpenAI(api_key="none")
        for resource in RESOURCES:
            lines += rows(methods_of(theirs, resource), methods_of(ours, resource), resource)
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
