"""The soak test: a long run with load, kills, strangers and a bad network; `docs/soak.md` is its last report."""
