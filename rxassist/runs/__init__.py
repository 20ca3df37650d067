"""What a run is in any protocol: its tools, the operators on its events, its streams."""
