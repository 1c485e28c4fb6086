"""The pure strategy brain: a frozen context in, a decision with its evidence out.

No I/O, clock or Nautilus.
"""
