"""What the outside world says, one folder a source: fetch or stream, parse, and nothing else."""
