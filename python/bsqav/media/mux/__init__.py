"""Writing containers: Matroska by our own muxer, all others through FFmpeg."""
