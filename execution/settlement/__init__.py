"""Settlement: the official outcome, its bookkeeping, payouts and redemption."""
