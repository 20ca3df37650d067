"""Polling: a state that is asked for again and again, as an Observable."""

from rxassist.reactive.polling import PollEvent, patiently, poll, poll_many

__all__ = ["PollEvent", "patiently", "poll", "poll_many"]
