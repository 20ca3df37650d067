"""The resources of a client that speak the Responses protocol."""
