"""Strategy brain, external data and Nautilus plumbing, independent of the operator and of the order API."""
