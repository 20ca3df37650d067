"""The Responses protocol: responses, their event logs, and conversations."""
