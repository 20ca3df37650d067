"""One run as many views, and many runs as one stream."""
