"""The HTTP service below every protocol: sockets, requests, faults, and objects in a store."""
