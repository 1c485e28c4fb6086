"""Validation of external values."""
