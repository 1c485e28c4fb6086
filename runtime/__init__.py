"""Starts and supervises the bot: session, supervisor, practice venue process, worker, preflight checks."""
