"""Markets and their times: market clock, slug calendar, pairing of Up and Down."""
