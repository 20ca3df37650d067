"""rxassist: assistant runs as reactive streams."""
