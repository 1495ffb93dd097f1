"""Adapter kinds, and the fused execution of many candidates at one place."""
