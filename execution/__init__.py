"""From a decision to its settlement: risk limits, orders, their outcomes, and the ledger."""
