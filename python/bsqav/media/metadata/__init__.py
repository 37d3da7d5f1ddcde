"""What a file says about its tracks and frames: metadata, colour, HDR, stream info."""
