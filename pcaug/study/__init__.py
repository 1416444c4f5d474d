"""Measure what synthetic data buys: arms x label budgets x draws x seeds."""
