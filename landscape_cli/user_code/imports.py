"""Code of the user's, imported from the current folder: for what the user names, and for what that code imports."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from traceback import walk_tb
from types import ModuleType

IMPORTING = ("<frozen importlib", importlib.__file__)


class _FolderFinder:
    """Finds modules in folders for the user's own code alone.

    A folder on `sys.path` would be looked through by every import of everybody, of optional packages too, whenever
    it comes: code would run of which nobody has said that it may.
    """

    def __init__(self) -> None:
        self._named: dict[str, str] = {}  # the top-level module that the user names, and its folder
        self.folders: dict[str, str] = {}  # those that were loaded from folders
        self.users: set[str] = set()  # those that the user has ever named

    @contextmanager
    def named(self, module: str, folder: str) -> Iterator[None]:
        """Look for a module that the user names in a folder first, while it is imported."""
        self._named = {module.partition(".")[0]: folder}
        self.users.update(self._named)
        try:
            yield
        finally:
            self._named = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where a module is, if it is in a folder and may be imported from there; else None."""
        if path is not None:  # in a package, which says itself where
            return None
        folder = self.folders.get(_importer()) or self._named.get(name)
        if folder is None:
            return None
        spec = PathFinder.find_spec(name, [folder])
        if spec is None:
            return None
        if spec.loader is None:  # a folder that may be no package: what is installed goes first
            if PathFinder.find_spec(name) is not None:
                return None
            spec.submodule_search_locations = list(spec.submodule_search_locations or ())
        self.folders[name] = folder
        return spec


def import_from(folder: str, module: str) -> ModuleType:
    """Import a module that the user names: from a folder if it is there, else from what is installed.

    What its code imports, at any time, is found likewise; what anybody else imports is not looked for there.

    Raises:
        ModuleNotFoundError: if there is no such module, or it lacks one.
    """
    if _finder not in sys.meta_path:
        paths = (place for place, finder in enumerate(sys.meta_path) if finder is PathFinder)
        sys.meta_path.insert(next(paths, len(sys.meta_path)), _finder)
    importlib.invalidate_caches()
    with _finder.named(module, folder):
        return importlib.import_module(module)


def line_of_users(error: BaseException) -> str:
    """Return on which line of the user's code an error was raised, in words; nothing if in none, or called from there.

    Code that others' packages run for that is theirs; code of this one is ours.
    """
    for frame, line in reversed(list(walk_tb(error.__traceback__))):
        module = str(frame.f_globals.get("__name__", ""))
        top = module.partition(".")[0]
        if top == __name__.partition(".")[0]:
            return ""
        if top in _finder.users or top in _finder.folders:
            return f"{module}, line {line}"
    return ""


def _importer() -> str:
    """Return the top-level name of the module whose code imports something."""
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(IMPORTING):
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


_finder = _FolderFinder()
