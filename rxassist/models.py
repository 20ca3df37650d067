"""What the service stores: frozen values with the field names of the wire.

Lists are tuples, unknown members of a tagged union are ``Unknown…`` values, statuses are plain
text. Nothing here knows JSON, HTTP or Rx.
"""

from typing import TYPE_CHECKING

from rxassist.protocols.assistants.models import *  # noqa: F403 -- its modules write down their names

if not TYPE_CHECKING:  # as there
    from rxassist.protocols.assistants.models import __all__ as __all__  # noqa: PLC0414 -- it is public
