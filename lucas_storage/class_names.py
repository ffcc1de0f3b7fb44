"""The package of a class, by its name: no package is imported to find out that a value is of none of its classes."""

from __future__ import annotations


def package_of(kind: type) -> str:
    """Return the name of the topmost package of a class; empty for one that names no module."""
    # Whatever is assigned to it: a class that a program makes may have None there, and a metaclass a property.
    module: object = kind.__module__
    return module.partition(".")[0] if isinstance(module, str) else ""
