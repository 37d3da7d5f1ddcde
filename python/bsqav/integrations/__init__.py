"""Where other libraries expect a codec: PyAV itself, imageio, Pillow, GStreamer, data loaders."""
