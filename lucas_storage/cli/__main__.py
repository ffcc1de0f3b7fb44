"""``python -m lucas_storage.cli``: the same as `lucas-storage`."""

from lucas_storage.cli.main import main

if __name__ == "__main__":
    main()
