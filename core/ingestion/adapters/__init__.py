"""One feed over several sources."""
