"""The HTTP routes. Handlers only translate; the logic is in the rest of the package."""
