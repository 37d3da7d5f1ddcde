"""What the paper measures: reconstruction, generation, priors."""
