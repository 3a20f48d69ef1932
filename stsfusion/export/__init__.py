"""Export: a published series as files that other programs read."""
