"""Monitoring with Prometheus and Grafana: dashboard as code, alert rules, compose file, import script."""
