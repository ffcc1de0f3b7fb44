"""``python -m lucas_storage.cli``: the same as `lucas-storage`."""

from _lucas_storage_program import main

if __name__ == "__main__":
    main()
