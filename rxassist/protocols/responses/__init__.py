"""The Responses protocol: what the service stores and sends, and what follows from it."""
