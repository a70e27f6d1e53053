"""`python -m slicewise` and `slicewise` are the command line; Ctrl+C ends it at any time."""

import sys

INTERRUPTED = 130  # exit code after Ctrl+C


def main() -> None:
    """Run the command line, which is imported here so that Ctrl+C meanwhile is told as well."""
    try:
        from slicewise.cli.main import main as run

        run()
    except KeyboardInterrupt:
        print("slicewise: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
