"""The objects of the service: frozen values with the field names of the wire.

Lists are tuples, unknown members of a tagged union are ``Unknown…`` values, statuses are plain
text. Nothing here knows JSON, HTTP or Rx.
"""

# ruff: noqa: F403 -- each module writes down its names

from typing import TYPE_CHECKING

from rxassist.protocols.assistants.models import (
    assistants,
    deltas,
    messages,
    run_steps,
    runs,
    threads,
    values,
)
from rxassist.protocols.assistants.models.assistants import *
from rxassist.protocols.assistants.models.deltas import *
from rxassist.protocols.assistants.models.messages import *
from rxassist.protocols.assistants.models.run_steps import *
from rxassist.protocols.assistants.models.runs import *
from rxassist.protocols.assistants.models.threads import *
from rxassist.protocols.assistants.models.values import *
from rxassist.protocols.files.models import files, vector_stores
from rxassist.protocols.files.models.files import *
from rxassist.protocols.files.models.vector_stores import *

if not TYPE_CHECKING:  # type checkers see the names of the modules without it
    __all__ = (
        assistants.__all__
        + deltas.__all__
        + messages.__all__
        + run_steps.__all__
        + runs.__all__
        + threads.__all__
        + values.__all__
        + files.__all__
        + vector_stores.__all__
    )
