"""Monitoring: metrics, performance, statistics, reports, notifications and the console."""
