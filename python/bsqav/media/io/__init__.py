"""Files, pipes and byte-level helpers that the other packages of media build on."""
