"""The Assistants protocol: threads, messages, runs, and their events."""
