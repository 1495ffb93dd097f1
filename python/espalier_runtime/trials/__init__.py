"""A run's work: what is loaded once, one trial after another, and what they say together."""
