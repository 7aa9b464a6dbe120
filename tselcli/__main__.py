"""``python -m tselcli`` is ``tsel``."""

from tselcli.cli import main

if __name__ == "__main__":
    main()
