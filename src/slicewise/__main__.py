"""`python -m slicewise` and `slicewise` are the command line; Ctrl+C ends it at any time."""

import sys


def main() -> None:
    """Run the command line, which is imported here so that Ctrl+C meanwhile is told as well."""
    try:
        from slicewise.cli.main import main as run

        run()
    except KeyboardInterrupt:
        print("slicewise: interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
