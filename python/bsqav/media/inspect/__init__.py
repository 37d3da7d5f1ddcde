"""Reading a file without transcoding it: `info`, `verify`, frames by number."""
