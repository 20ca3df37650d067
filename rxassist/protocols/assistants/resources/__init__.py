"""The calls of the Assistants API."""
