"""Keeps `actorc.storage` and `actorc.controller` ours where upstream's ``actorc`` is installed as well.

Upstream's distribution owns files of the same names: its mock of a storage client, and a controller client that waits
for ever when a call fails. Which of the two a plain ``import`` finds would depend on what was installed last. Here the
imports are answered: modules of ours come from us, all others (``actorc.executor``, ``actorc.utils``,
``actorc.protos``) from wherever they are.

An ``import lucas`` that fails is explained here as well, since the package that could explain it is mostly imported
after it.

A ``.pth`` file of the distribution runs `install` when Python starts, and from Python 3.15 on a ``.start`` file; so
nothing is imported here that need not be. The plugin calls `require`, for where such files are not read.

pytest imports the packages of its plugins by a finder of its own. It would warn that this module was imported before
that, which is meant: PYTEST_DONT_REWRITE.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from pathlib import Path
    from types import ModuleType

SHARED = {
    "actorc": "__init__.py",
    "actorc.controller": "controller/__init__.py",
    "actorc.controller.context": "controller/context.py",
    "actorc.storage": "storage/__init__.py",
    "actorc.storage.client": "storage/client.py",
    "actorc.storage.errors": "storage/errors.py",
}
"""The modules that both distributions have, and their files below ``actorc``."""

KEPT = "lucas_storage/_actorc"
"""Where a wheel keeps a second copy of those files, beside the first one that another installation may overwrite."""


class ActorcFinder:
    """Finds the modules that both distributions have, ours first."""

    @staticmethod
    def find_spec(name: str, *_: object) -> ModuleSpec | None:
        """Return the spec of our module of that name, or None where the import system finds the right one itself."""
        if name not in SHARED:
            return None
        home = _home()
        if home is None:
            return None
        return _package(home) if name == "actorc" else _overwritten(home, name)


NO_LUCAS = (
    "No module named 'lucas'; call lucas_storage.local() before this import, or start the program with 'lucas-storage "
    "run', which both bring an engine for workflows of Lucas (Lucas itself is not on PyPI; clone "
    "https://github.com/Xdydy/Lucas and 'pip install -e' the clone)"
)


class LucasExplainer:
    """Explains a failed ``import lucas``; the last of the finders, which finds nothing."""

    @classmethod
    def find_spec(cls, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Return None, or for ``import lucas`` what finders find that were installed later.

        Raises:
            ModuleNotFoundError: There is no `lucas`; the message says what to do.
        """
        if name != "lucas":
            return None
        # Editable installations append finders of their own.
        for finder in sys.meta_path[sys.meta_path.index(cls) + 1 :]:
            spec: ModuleSpec | None = finder.find_spec(name, path, target)  # type: ignore[arg-type]
            if spec is not None:
                return spec
        if not _is_imported():
            return None
        raise ModuleNotFoundError(NO_LUCAS, name=name)


def _is_imported() -> bool:
    """Return whether the caller's finder is asked by an import; `importlib.util.find_spec` expects None, no error."""
    # the finder is called by the loop over all finders, and that one by an import or by `find_spec`
    asking = sys._getframe(2).f_back  # noqa: SLF001 -- Python tells it nowhere else
    return asking is not None and asking.f_code.co_name == "_find_and_load_unlocked"


def install() -> None:
    """Let our modules be found first, and a missing `lucas` be explained; calling it again does nothing.

    Raises:
        ImportError: Upstream's mock of the storage client has been imported already.
    """
    if sys.meta_path[:1] != [ActorcFinder]:
        # a finder that came later may have taken the first place, as that of pytest does
        sys.meta_path[:] = [ActorcFinder, *(finder for finder in sys.meta_path if finder is not ActorcFinder)]
    if LucasExplainer not in sys.meta_path:
        sys.meta_path.append(LucasExplainer)
    loaded = sys.modules.get("actorc")
    if loaded is not None:
        _join(loaded)


def require() -> None:
    """Do as `install`, in a process that is about to use our modules, and check that they are found.

    Raises:
        ImportError: The `actorc.storage` of this process is, or would be, another one.

    Warns:
        RuntimeWarning: It is ours from now on, and in a process that does not import the plugin it would not be.
    """
    without_us = None if ActorcFinder in sys.meta_path else _foreign_on_the_path()
    install()
    foreign = _foreign()
    if foreign:
        raise ImportError(_complaint(foreign))
    if without_us:
        import warnings  # noqa: PLC0415

        warnings.warn(
            f"Python did not run lucas_storage_precedence at its start, so 'import actorc.storage' finds {without_us}, "
            f"which is upstream's mock and stores nothing, wherever lucas_storage is not imported first; {_REMEDY}",
            RuntimeWarning,
            stacklevel=3,
        )


_OURS = b"AsyncStorageClient"
"""A name that stands in our `actorc.storage` and not in upstream's."""
_REMEDY = "run 'pip install --force-reinstall --no-deps lucas-storage' in this environment"


def _complaint(where: str) -> str:
    return f"the actorc.storage at {where} is not that of lucas-storage but a mock, which stores nothing; {_REMEDY}"


def _foreign() -> str | None:
    """Return where the `actorc.storage` lies that would be imported, if it is not ours."""
    if "actorc.storage" in sys.modules:
        return None  # `install` has looked at it
    from importlib.util import find_spec  # noqa: PLC0415

    return _if_foreign(find_spec("actorc.storage"))


def _foreign_on_the_path() -> str | None:
    """Return where the `actorc.storage` lies that the path alone leads to, if it is not ours; nothing is imported."""
    from importlib.machinery import PathFinder  # noqa: PLC0415

    package = PathFinder.find_spec("actorc")
    places = package.submodule_search_locations if package else None
    return _if_foreign(PathFinder.find_spec("actorc.storage", list(places))) if places else None


def _if_foreign(spec: ModuleSpec | None) -> str | None:
    if spec is None or spec.origin is None:
        return None
    try:
        with open(spec.origin, "rb") as file:  # noqa: PTH123 -- nothing more is imported than need be
            return None if _OURS in file.read() else spec.origin
    except OSError:
        return None  # in an archive, where nobody overwrites it


def _join(package: ModuleType) -> None:
    """Let our modules be found in an `actorc` that was imported before `install`."""
    storage, home = sys.modules.get("actorc.storage"), _home()
    if storage is not None and not hasattr(storage, _OURS.decode()):
        raise ImportError(
            "the actorc.storage of this process is upstream's mock, which stores nothing; import lucas_storage before "
            "actorc, or install lucas-storage where Python finds it at its start"
        )
    if home is not None and str(home) not in package.__path__:
        package.__path__.insert(0, str(home))


def _home() -> Path | None:
    """Return our folder ``actorc``: the one beside the plugin, which nobody else has."""
    from importlib.machinery import PathFinder  # noqa: PLC0415 -- nothing is imported at the start of every process
    from pathlib import Path  # noqa: PLC0415

    plugin = PathFinder.find_spec("lucas_storage")
    return None if plugin is None or plugin.origin is None else Path(plugin.origin).parents[1] / "actorc"


def _package(home: Path) -> ModuleSpec | None:
    """Return the spec of `actorc` itself, with every folder of that name as a place of submodules, ours first."""
    others = (type(home)(place, "actorc").absolute() for place in sys.path)
    places = [home, *(place for place in dict.fromkeys(others) if place != home and place.is_dir())]
    return _spec("actorc", _kept(home, "actorc") or home / SHARED["actorc"], places)


def _overwritten(home: Path, name: str) -> ModuleSpec | None:
    source = _kept(home, name)
    if source is None:
        return None
    present = home / SHARED[name]
    return _spec(name, source, [present.parent] if present.name == "__init__.py" else None)


def _spec(name: str, source: Path, places: list[Path] | None) -> ModuleSpec | None:
    from importlib.util import spec_from_file_location  # noqa: PLC0415

    folders = None if places is None else [str(place) for place in places]
    return spec_from_file_location(name, source, submodule_search_locations=folders)


def _kept(home: Path, name: str) -> Path | None:
    """Return the kept copy of a module, if the file it was made of is no longer the same."""
    kept, present = home.parent / KEPT / SHARED[name], home / SHARED[name]
    if not kept.is_file():
        return None
    # What is missing went with upstream's package, which had overwritten it.
    return None if present.is_file() and present.read_bytes() == kept.read_bytes() else kept
