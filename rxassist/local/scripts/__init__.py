"""Scripts: what the "model" does in a run, and at what pace."""
