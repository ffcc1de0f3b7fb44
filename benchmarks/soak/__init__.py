"""A long run of everything at once, with kills, strangers and a bad network; `docs/soak.md` is what it last printed."""
