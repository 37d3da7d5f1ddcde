"""`python -m bsqav`: the command line."""

from bsqav.cli.main import run

if __name__ == "__main__":
    run()
