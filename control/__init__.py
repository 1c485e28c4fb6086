"""Whether orders may be live: mode store, arming, halts, and locks against a second bot."""
