"""Training: the model, the one loop, and the evaluation."""
