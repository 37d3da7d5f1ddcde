"""`bsqav.open`: the PyAV-compatible interface."""
