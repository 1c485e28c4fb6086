"""The report of a backtest: one HTML file with the edge, its intervals and the required sample."""
