"""The calls of the files and vector stores API."""
