"""Renders the dashboard without Grafana: reads its JSON, queries Prometheus, draws similar panels.

Supports what the dashboard uses (stat, bar gauge, time series; units, thresholds, mappings, overrides) and
raises an error for anything else.
"""
