"""Linear maps on tensors: what a sensor keeps of a cube. They know nothing of satellites."""
