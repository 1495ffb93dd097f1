"""Robustness: what becomes of a fitted structure's score when its input, states, paths or weights are perturbed.

The paper (arXiv 2509.03057) reports noise injection and data perturbation without defining them: the definitions are
ours.
"""
