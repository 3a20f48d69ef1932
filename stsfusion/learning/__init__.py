"""What trained methods share: losses, layers, the training loop."""
