"""The operators of ``rxassist.operators``, with the types of the Responses protocol.

They are the same functions: type checkers read other types for them, in the stub beside this. Those
that belong to the Assistants protocol alone (``recover``, ``run_steps``, ``run_tools``) are left
out.
"""

from typing import TYPE_CHECKING

from rxassist import operators

if not TYPE_CHECKING:  # which read the names in the stub
    _OF_ASSISTANTS = {"recover", "run_steps", "run_tools"}
    __all__ = [name for name in operators.__all__ if name not in _OF_ASSISTANTS]
    globals().update({name: getattr(operators, name) for name in __all__})
