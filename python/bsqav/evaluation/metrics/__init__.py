"""Quality metrics and Bjontegaard deltas."""
