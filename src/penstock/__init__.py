"""Penstock schedules and triggers machine-learning pipelines."""
