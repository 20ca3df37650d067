"""Functions as tools: the schema that a model reads and the function that is called, as one.

``Toolbox`` and ``@tool`` make both from a function's signature, so that they never drift apart.
"""

from rxassist.runs.tools.tool import Tool, Toolbox, ToolResult, tool

__all__ = ["Tool", "ToolResult", "Toolbox", "tool"]
