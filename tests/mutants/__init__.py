"""Mutation run: changes one expression of a pure module at a time and checks that a test of it then fails.

`python -m tests.mutants [MODULE ...]`, with the modules of `list.toml`. The exit code is 1 if a mutant
survives that the list does not explain, or if it explains one that is found after all.

The changes are mutmut's. Its own runner is not used: it leaves out properties, constants and tables at module
level, which hold half of the order lifecycle's rules, and copies the project.
"""
