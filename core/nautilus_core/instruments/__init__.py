"""Which markets there are and when: the market clock, the slug calendar, Up/Down pairing."""
