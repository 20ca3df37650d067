"""Files and vector stores, which every protocol uses."""
