"""The clients: each endpoint of the service is a method that gives an Observable."""

from rxassist.client._client import AsyncClient, Client, ClientOptions
from rxassist.client.assistants import Assistants
from rxassist.client.runs import Runs
from rxassist.client.threads import Messages, Threads

__all__ = [
    "Assistants",
    "AsyncClient",
    "Client",
    "ClientOptions",
    "Messages",
    "Runs",
    "Threads",
]
