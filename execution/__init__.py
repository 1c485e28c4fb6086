"""What turns a decision into money and back: risk, orders, outcomes, and the ledger that remembers them."""
