"""The paper's networks: BSQ-ViT, its priors, and the networks of its losses and metrics."""
