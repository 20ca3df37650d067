"""Files and vector stores as the service stores them."""
