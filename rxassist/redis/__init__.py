"""Past one machine (the extra ``redis``)."""
