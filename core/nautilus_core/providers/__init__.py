"""How the outside world reaches the strategy."""
