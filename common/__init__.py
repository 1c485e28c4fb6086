"""Small helpers without domain logic: atomic files, singletons, shared constants."""
