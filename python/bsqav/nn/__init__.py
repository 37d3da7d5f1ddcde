"""PyTorch networks: the codec's, and the paper's."""
