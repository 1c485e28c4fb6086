"""Assembly of the trading node."""
