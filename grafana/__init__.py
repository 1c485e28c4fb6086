"""Watching the bot with Prometheus and Grafana: dashboard as code, alerts, compose file, import script."""
