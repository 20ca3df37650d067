"""Observables that can be waited for: pauses, loops, threads, time. Knows no HTTP, JSON or run."""
