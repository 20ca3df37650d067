"""Azure AI Foundry Agent Service (classic): everything about it that differs is here.

Its paths begin after the project's endpoint, without ``/v1``; each request has an ``api-version``;
it takes tokens of Microsoft Entra ID for the scope ``https://ai.azure.com/.default``. Its objects
differ little (more types of tools and annotations, ``submit_tool_approval``): the models know them.

Source: REST API reference of the Azure AI Foundry Agent Service, and azure-ai-agents 1.1.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeAlias, cast

from rxassist.errors import excerpt
from rxassist.wire.credentials import AccessToken, Credential

API_VERSION = "v1"
"""The default version of the API."""

SCOPE = "https://ai.azure.com/.default"
"""The scope that a token must have."""


class TokenCredential(Protocol):
    """A credential as in ``azure.identity``, such as ``DefaultAzureCredential()``."""

    def get_token(self, *scopes: str) -> AccessToken | Awaitable[AccessToken]:
        """A token for the scopes."""
        ...


FoundryCredential: TypeAlias = "Credential | TokenCredential"
"""A token, a function that returns one, or a credential of ``azure.identity``."""


def foundry_options(
    endpoint: str, credential: FoundryCredential, api_version: str
) -> dict[str, Any]:
    """The options for a client of a Foundry project. Raises for invalid arguments."""
    if not str(endpoint).startswith(("https://", "http://")):
        msg = (
            "endpoint must be that of a project, such as "
            f'"https://<resource>.services.ai.azure.com/api/projects/<project>", '
            f"got {excerpt(endpoint)}"
        )
        raise ValueError(msg)
    if not api_version:
        msg = f'api_version must not be empty; the default is "{API_VERSION}"'
        raise ValueError(msg)
    return {
        "base_url": endpoint.rstrip("/"),
        "api_key": _credential(credential),
        "default_query": {"api-version": api_version},
    }


def _credential(credential: object) -> Credential:
    if isinstance(credential, str) or callable(credential):
        return cast("Credential", credential)
    get_token = getattr(credential, "get_token", None)
    if get_token is None:
        msg = (
            "credential must be a token, a function that returns one, or a credential of "
            f"azure.identity, got {type(credential).__name__}"
        )
        raise TypeError(msg)
    return _asker(get_token)


def _asker(get_token: Callable[..., Any]) -> Credential:
    if inspect.iscoroutinefunction(get_token):

        async def ask_and_wait() -> AccessToken:
            return cast("AccessToken", await get_token(SCOPE))

        return ask_and_wait

    def ask() -> AccessToken:
        return cast("AccessToken", get_token(SCOPE))

    return ask


__all__ = ["API_VERSION", "SCOPE", "FoundryCredential", "TokenCredential", "foundry_options"]
