"""The catalogue of metrics and the sources of their values."""
