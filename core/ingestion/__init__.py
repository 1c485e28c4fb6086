"""External data: sources polled in the background, rate limited, validated, and read within a deadline."""
