"""Searches: each turns a space, tasks and a budget into a structure."""
