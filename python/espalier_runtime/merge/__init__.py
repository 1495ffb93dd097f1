"""Several adapters as one: task arithmetic, TIES, and directional alignment, linear by linear."""
