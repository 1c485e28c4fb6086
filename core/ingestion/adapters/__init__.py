"""One feed over many sources."""
