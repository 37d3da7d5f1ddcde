"""Training in PyTorch: the codec's networks, and the paper's models."""
