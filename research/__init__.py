"""Research: the bot's own strategy over recorded markets."""
