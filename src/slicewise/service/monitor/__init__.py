"""Drift of inputs, distances and answers in the audit database."""
