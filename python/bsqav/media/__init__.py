"""Files and streams: containers in and out, on PyAV and on a Matroska writer of our own."""
