"""``python -m clusterlog``: the command line."""

from clusterlog.cli import main

if __name__ == "__main__":
    main()
