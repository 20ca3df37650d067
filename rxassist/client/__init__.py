"""The clients: each endpoint of the service is a method that gives an Observable."""

from rxassist.client._client import AsyncClient, Client, ClientOptions
from rxassist.client.assistants import Assistants
from rxassist.client.files import Files
from rxassist.client.runs import Runs, Steps
from rxassist.client.threads import Messages, Threads
from rxassist.client.vector_stores import FileBatches, VectorStoreFiles, VectorStores

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
