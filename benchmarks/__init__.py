"""Benchmarks of the bot and of the practice venue: `./bot bench` compares each figure with its target."""
