"""The run directory: everything that is written to disk while a run works. A leaf: it knows no other part."""
