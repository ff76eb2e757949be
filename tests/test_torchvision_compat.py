"""What stands in for PyTorch's compiler gives way to it once it is asked for; shown with modules that load quickly."""

from __future__ import annotations

import sys

import pytest

from landscape_cli import torchvision_compat

NAMES = ("xml.dom", "xml.dom.minidom")


def test_what_stands_in_for_a_module_gives_way_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision_compat, "COMPILER", NAMES)
    for name in NAMES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    with torchvision_compat._compiler_later():
        assert sys.modules[NAMES[1]].__spec__ is None
        assert callable(sys.modules[NAMES[1]].is_compile_supported)
        assert not hasattr(sys.modules[NAMES[1]], "__wrapped__")
    assert NAMES[1] not in sys.modules
    with torchvision_compat._compiler_later():
        stand_in = sys.modules[NAMES[1]]
        parse = stand_in.parseString
        assert parse("<a/>").toxml().endswith("<a/>")
        with pytest.raises(AttributeError):
            _ = stand_in.nothing
    real = sys.modules[NAMES[1]]
    assert real.__spec__ is not None
    assert real.parseString is parse
    with torchvision_compat._compiler_later():
        assert sys.modules[NAMES[1]] is real
    assert sys.modules[NAMES[1]] is real
