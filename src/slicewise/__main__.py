"""`python -m slicewise` is the command line."""

from slicewise.cli.main import main

if __name__ == "__main__":
    main()
