"""How any tiled work is carried out; knows nothing of fusion."""
