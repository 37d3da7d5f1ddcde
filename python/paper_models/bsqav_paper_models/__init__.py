"""Small trained models of the BSQ paper's networks: a folder each, which bsqav finds by name."""
