"""The pure brain: a frozen context in, a decision with its evidence out. No I/O, no clock, no Nautilus."""
