"""The HTTP routes. Handlers translate; what they translate to lives in the rest of the package."""
