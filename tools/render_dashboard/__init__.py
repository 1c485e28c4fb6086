"""A picture of the dashboard without Grafana: its JSON read, Prometheus asked, panels drawn in its manner.

It knows what the dashboard uses (stat, bar gauge, time series; units, thresholds, mappings, overrides) and
stops at anything else. In Grafana's manner, not by Grafana.
"""
