"""The protocols that runs are spoken in, one folder for each."""
