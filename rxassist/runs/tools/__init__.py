"""Functions as tools: the schema that a model reads, together with the function that is called.

``Toolbox`` and ``@tool`` make both from a function's signature, so that they never drift apart.
"""

from rxassist.runs.tools.tool import Tool, Toolbox, ToolResult, tool

__all__ = ["Tool", "ToolResult", "Toolbox", "tool"]
