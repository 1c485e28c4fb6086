"""Sanity: which values are let in, and what happens to the others."""
