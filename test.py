"""All quick tests: `python test.py [pytest arguments]`."""

if __name__ == "__main__":
    from bootstrap import run_tests

    run_tests("test.py", "tests")
