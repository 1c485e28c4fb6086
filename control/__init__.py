"""Whether orders may be live: the mode store, arming, halts, and the locks that keep a second bot away."""
