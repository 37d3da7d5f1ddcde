"""Training of the paper's models: tokenizer, prior, masked language model."""
