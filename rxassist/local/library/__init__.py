"""Files and vector stores, which belong to no protocol."""
