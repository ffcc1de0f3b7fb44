"""The embedded engine, for a process that has the module path of one where it is installed as `lucas`."""

from lucas_storage.embedded.aliases import alias

alias()
