"""Tasks: labelled texts from files, rows, the package or the Hub; their tokens, batches and metrics."""
