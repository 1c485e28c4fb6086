"""External sources, one package each: requests or streams, and parsing."""
