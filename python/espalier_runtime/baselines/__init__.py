"""What a person would have used instead of a learned structure, on the same batches, heads and splits."""
