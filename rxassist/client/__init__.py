"""The clients: each endpoint of the service is a method that returns an Observable."""

from rxassist.client._client import AsyncClient, Client, ClientOptions
from rxassist.protocols.assistants.resources.assistants import Assistants
from rxassist.protocols.assistants.resources.runs import Runs, Steps
from rxassist.protocols.assistants.resources.threads import Messages, Threads
from rxassist.protocols.files.resources.files import Files
from rxassist.protocols.files.resources.vector_stores import (
    FileBatches,
    VectorStoreFiles,
    VectorStores,
)

__all__ = [
    "Assistants",
    "AsyncClient",
    "Client",
    "ClientOptions",
    "FileBatches",
    "Files",
    "Messages",
    "Runs",
    "Steps",
    "Threads",
    "VectorStoreFiles",
    "VectorStores",
]
