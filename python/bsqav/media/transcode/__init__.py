"""`bsqav.transcode`: decode, filter, encode and mux."""
