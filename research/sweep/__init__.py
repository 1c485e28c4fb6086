"""Sweep: the backtest for every point of a grid of settings, and what the best one is worth."""
