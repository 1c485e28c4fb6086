"""Rate limits and supervision of websockets."""
