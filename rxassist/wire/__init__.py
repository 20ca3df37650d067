"""HTTP, Server-Sent Events, JSON and credentials: calls and lists as Observables."""
