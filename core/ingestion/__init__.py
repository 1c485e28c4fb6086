"""External data made safe: sources kept warm, limited, checked, and handed over under a deadline."""
