"""The parts of the bot that know neither the operator nor the wire: feeds made safe, Nautilus, the brain."""
