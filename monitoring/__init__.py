"""What tells a person how the bot is doing: metrics, performance, statistics, notifications."""
