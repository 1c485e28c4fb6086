"""What is measured: the catalogue of metrics, and where each number comes from."""
