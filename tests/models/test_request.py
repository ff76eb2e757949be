"""Models named by users: how they are written, where they come from, what is refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from landscape_cli.errors import ModelError
from landscape_cli.models import (
    build_model,
    construct_template,
    create_model,
    factories,
    find_spec,
    fit_tensors,
    is_request_for,
    load_params,
)
from landscape_cli.models.request import ModelRequest, format_request, needs_code, parse_request
from landscape_cli.network import ModelSpec
from landscape_cli.torchvision_compat import import_torchvision

SOURCE = '''
from types import SimpleNamespace

import torch
from torch import nn


class Net(nn.Module):
    """Fixed tables, random and not; tied parameters; two outputs."""

    def __init__(self, width=6, tables=True):
        super().__init__()
        self.first = nn.Linear(5, width)
        self.second = nn.Linear(width, width)
        self.third = nn.Linear(width, width)
        self.third.weight = self.second.weight
        self.norm = nn.BatchNorm1d(width)
        self.last = nn.Linear(width, 3)
        self.register_buffer("table", torch.randn(width), persistent=False)
        self.plain = torch.linspace(0, 1, width)
        self.rates = [x.item() for x in torch.linspace(0, 0.5, 3)]
        self.made = torch.empty(width).fill_(self.rates[2])

    def forward(self, x):
        x = self.norm(self.first(x)).relu() + self.table * self.plain + self.made
        return self.last(self.third(self.second(x))), x


def fill(width=6):
    """Initialised by hand, from numbers."""
    net = nn.Linear(5, width)
    net.weight.data = torch.ones(width, 5)
    return net


class Lazy(nn.Sequential):
    def __init__(self):
        super().__init__(nn.LazyLinear(3))


class Stale(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3, 5))
        self.weights = [{"a": (self.weight,)}]


class Complex(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3, 5, dtype=torch.complex64))


class Returns(nn.Module):
    def __init__(self, what):
        super().__init__()
        self.what = what
        self.net = nn.Linear(5, 3)

    def forward(self, x):
        y = self.net(x)
        return {"dict": {"out": y}, "three": y[:, None], "whole": y.argmax(1, keepdim=True), "none": None}[self.what]


class Branch(nn.Linear):
    def __init__(self):
        super().__init__(5, 3)

    def forward(self, x):
        return super().forward(x) if x.sum() == 0 else x


class Holds(nn.Module):
    """Tables that a checkpoint lacks, made and kept in many ways, of which forward reads the values."""

    def __init__(self, way):
        super().__init__()
        self.first = nn.Linear(5, 6)
        places = torch.empty(6, dtype=torch.int64)
        places[:] = torch.arange(5, -1, -1)
        factors = torch.empty(6).copy_(torch.arange(6.0))
        self.use = None
        if way == "whole numbers, filled":
            self.register_buffer("table", places, persistent=False)
        elif way == "whole numbers":
            self.register_buffer("table", torch.arange(5, -1, -1), persistent=False)
        elif way == "whole numbers, saved":
            self.register_buffer("table", places)
        elif way == "filled":
            self.register_buffer("table", factors, persistent=False)
        elif way == "like a parameter":
            self.register_buffer("table", torch.zeros_like(self.first.bias) + 2, persistent=False)
        elif way == "numbers":
            self.register_buffer("table", torch.linspace(0, 1, 6), persistent=False)
        elif way == "an object":
            self.kept = SimpleNamespace(table=factors)
            self.use = lambda x: x * self.kept.table
        elif way == "a closure":
            self.use = lambda x: x[:, places]

    def forward(self, x):
        x = self.first(x)
        if self.use is not None:
            return self.use(x)
        return x * self.table if self.table.is_floating_point() else x[:, self.table]


def leaves():
    raise SystemExit("goodbye")


number = 3
'''


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module in the current folder, which nobody has imported yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(factories, "_allowed", {})
    Path("research").mkdir()
    Path("research/__init__.py").write_text("print('hello')\n")
    Path("research/nets.py").write_text(SOURCE)
    yield "research.nets"
    for name in [name for name in sys.modules if name.partition(".")[0] == "research"]:
        del sys.modules[name]


WAYS = [
    "whole numbers, filled",
    "whole numbers",
    "whole numbers, saved",
    "filled",
    "like a parameter",
    "numbers",
    "an object",
    "a closure",
]


def own_copy(params: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: torch.rand_like(t) if t.is_floating_point() else t.clone() for key, t in params.items()}


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("mlp", {}),
        ("a.b:c?x=1&y=2.5&z=text&w=true", {"x": 1, "y": 2.5, "z": "text", "w": True}),
        ('a:b?x=[1,2]&y=null&z={"k":1}', {"x": [1, 2], "y": None, "z": {"k": 1}}),
        ('a:b?x="1"&y=&z=NaN', {"x": "1", "y": "", "z": "NaN"}),
        ("a:b?x=a%26b%3Dc%25&y=a=b", {"x": "a&b=c%", "y": "a=b"}),
        ("a:b?x=True&y=False&z=None", {"x": True, "y": False, "z": None}),
        ("a:b?x=1e999&y=" + "[" * 9999, {"x": "1e999", "y": "[" * 9999}),
    ],
)
def test_requests(text: str, arguments: dict[str, object]) -> None:
    request = parse_request(text)
    assert dict(request.arguments) == arguments
    assert parse_request(format_request(request.name, request.arguments)) == request


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "names no model"),
        ("?x=1", "names no model"),
        ("a b", "names no model"),
        ("a:b?x", "no argument"),
        ("a:b?=1", "no argument"),
        ("a:b?x=1&&y=2", "no argument"),
        ("a:b?x-y=1", "no argument"),
        ("a:b?x=1&x=2", "twice"),
        ("torchvision:resnet18?weights=DEFAULT", "would fetch"),
        ("torchvision:resnet18?pretrained=true", "would fetch"),
        ("timm:create_model?pretrained=1", "would fetch"),
    ],
)
def test_malformed_requests(text: str, word: str) -> None:
    with pytest.raises(ModelError, match=word):
        parse_request(text)


def test_what_needs_code() -> None:
    assert [needs_code(name) for name in ("mlp", "torchvision:resnet18", "torchvision.models:resnet18", "a:b")] == [
        False,
        False,
        True,
        True,
    ]


def families() -> list[str]:
    """One small model of each of torchvision's families, and those with quirks."""
    return [
        *(
            "alexnet",
            "convnext_tiny",
            "densenet121",
            "efficientnet_b0",
            "efficientnet_v2_s",
            "googlenet",
            "inception_v3",
        ),
        *("maxvit_t", "mnasnet0_5", "mnasnet1_0", "mobilenet_v2", "mobilenet_v3_small", "regnet_x_400mf"),
        *(
            "regnet_y_400mf",
            "resnet18",
            "resnext50_32x4d",
            "shufflenet_v2_x0_5",
            "squeezenet1_0",
            "swin_t",
            "swin_v2_t",
        ),
        *("vgg11_bn", "vit_b_32", "wide_resnet50_2"),
    ]


@pytest.mark.parametrize("name", families())
def test_torchvision(name: str) -> None:
    side = 299 if name == "inception_v3" else 224
    spec, template = find_spec(parse_request(f"torchvision:{name}?num_classes=7"), (3, side, side))
    assert spec == ModelSpec(f"torchvision:{name}", {"num_classes": 7}, (3, side, side), 7)
    without_values = [parameter.is_meta for parameter in template.parameters() if parameter.numel() > 10_000]
    assert all(without_values)


@pytest.mark.parametrize("name", ["mnasnet0_5", "shufflenet_v2_x0_5", "squeezenet1_1"])
def test_torchvision_computes_the_same(name: str) -> None:
    torch.manual_seed(3)
    models = import_torchvision("models")
    expected = models.get_model(name, weights=None, num_classes=4).eval()
    spec, template = find_spec(parse_request(f"torchvision:{name}?num_classes=4"), (3, 64, 64))
    params = fit_tensors(template, expected.state_dict())
    x = torch.randn(2, 3, 64, 64)
    assert torch.equal(load_params(template, params)(x), expected(x))
    assert torch.equal(build_model(spec, params)(x), expected(x))


def test_torchvision_models_that_are_not_there() -> None:
    for name, word in [("resnet81", "did you mean.*resnet18"), ("fcn_resnet50", "no classification model"), ("", "no")]:
        with pytest.raises(ModelError, match=word):
            create_model(ModelSpec(f"torchvision:{name}", {}, (3, 64, 64), 4), seed=0)
    with pytest.raises(ModelError, match="unexpected keyword argument 'depth'"):
        create_model(ModelSpec("torchvision:resnet18", {"depth": 3}, (3, 64, 64), 4), seed=0)
    with pytest.raises(ModelError, match="would fetch"):  # what a file says is checked as well
        create_model(ModelSpec("torchvision:resnet18", {"weights": "DEFAULT"}, (3, 64, 64), 4), seed=0)
    with pytest.raises(ModelError, match=r"does not run.*is `input_shape=` right"):
        find_spec(parse_request("torchvision:alexnet"), (3, 8, 8))


def test_code_of_ones_own(nets: str, capsys: pytest.CaptureFixture[str]) -> None:
    spec, template = find_spec(parse_request(f"{nets}:Net?width=4"), (5,))
    assert spec == ModelSpec(f"{nets}:Net", {"width": 4}, (5,), 3)
    assert capsys.readouterr() == ("", "hello\n")
    from research.nets import Net  # type: ignore[import-not-found]

    torch.manual_seed(9)
    expected = Net(4).eval()
    tied = torch.rand(4, 4)
    state = own_copy(expected.state_dict()) | {"second.weight": tied, "third.weight": tied}
    params = fit_tensors(template, state)
    expected.load_state_dict(params)
    model = load_params(template, params)
    assert model.third.weight is model.second.weight
    expected.table = model.table  # drawn at random and not saved: nobody can know it
    x = torch.randn(2, 5)
    assert torch.equal(model(x), expected(x)[0])
    again = build_model(spec, params)
    assert torch.equal(again(x), model(x))
    assert create_model(spec, seed=1).third.weight.dtype == torch.float32


@pytest.mark.parametrize("what", ["dict", "three"])
def test_outputs_with_names_or_places(nets: str, what: str) -> None:
    spec, template = find_spec(parse_request(f"{nets}:Returns?what={what}"), (5,))
    assert spec.outputs == 3
    named = find_spec(parse_request(f"{nets}:Returns?what=dict"), (5,), output="out")[0]
    assert ModelSpec.from_json(named.to_json()) == named
    assert template.state_dict().keys() == construct_template(named).state_dict().keys()
    with pytest.raises(ModelError, match="no output 'logits' by `model_output=`: it returns those of out"):
        find_spec(parse_request(f"{nets}:Returns?what=dict"), (5,), output="logits")


def test_values_set_by_hand(nets: str) -> None:
    """Parameters that are made from numbers cannot be made without them."""
    _, template = find_spec(parse_request(f"{nets}:fill"), (5,))
    assert template.weight.shape == (6, 5)
    assert find_spec(parse_request(f"{nets}:Branch"), (5,))[0].outputs == 3


@pytest.mark.parametrize("way", WAYS)
def test_tables_keep_their_values(nets: str, way: str) -> None:
    """Whatever is not in the file has its values in the model, however it was made."""
    spec, template = find_spec(parse_request(f'{nets}:Holds?way="{way}"'), (5,))
    from research.nets import Holds  # type: ignore[import-not-found]

    expected = Holds(way)
    params = fit_tensors(template, own_copy(expected.state_dict()))
    expected.load_state_dict(params)
    x = torch.randn(4, 5)
    assert torch.equal(build_model(spec, params)(x), expected(x))
    assert not torch.equal(expected(x), expected.first(x))


def test_randomness_is_untouched(nets: str) -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    find_spec(parse_request(f"{nets}:Net"), (5,))
    assert torch.equal(torch.rand(1), expected)


def test_tied_parameters(nets: str) -> None:
    """A file may hold a tied parameter under one of its names."""
    _, template = find_spec(parse_request(f"{nets}:Net"), (5,))
    whole = own_copy({key: torch.empty(t.shape, dtype=t.dtype).zero_() for key, t in template.state_dict().items()})
    del whole["third.weight"], whole["norm.num_batches_tracked"]
    params = fit_tensors(template, whole)
    assert torch.equal(params["third.weight"], whole["second.weight"])
    assert params["norm.num_batches_tracked"] == 0
    assert len({tensor.data_ptr() for tensor in params.values()}) == len(params)
    with pytest.raises(ModelError, match=r"second.weight and third.weight are one tensor in the model, but differ"):
        fit_tensors(template, whole | {"third.weight": whole["second.weight"] + 1})


@pytest.mark.parametrize(
    ("request_text", "word"),
    [
        ("{}:nothing", "has no 'nothing'"),
        ("{}:Nett", "did you mean Net"),
        ("{}:number", "is a int, expected a function or class"),
        ("{}:torch.get_num_threads", "returned a int"),
        ("{}:leaves", "failed: SystemExit: goodbye"),
        ("{}:Net?width=-1", "failed: RuntimeError"),
        ("{}:Net?depth=1", "failed: TypeError"),
        ("{}:Lazy", "lazy modules"),
        ("{}:Stale", "plain attribute"),
        ("{}:Complex", "complex"),
        ("{}:Returns?what=whole", "int64, expected real numbers"),
        ("{}:Returns?what=none", "returns a NoneType"),
        ("research.other:Net", "no module 'research.other'"),
        ("research.broken:Net", "failed: ModuleNotFoundError: No module named 'nowhere'"),
        ("research.wrong:Net", "failed: SyntaxError"),
        ("research/nets.py:Net", "without slashes"),
        ("nets.py:Net", "without slashes"),
        ("{}:", "names no factory"),
    ],
)
def test_code_that_does_not_serve(nets: str, request_text: str, word: str) -> None:
    Path("research/broken.py").write_text("import nowhere\n")
    Path("research/wrong.py").write_text("def\n")
    with pytest.raises(ModelError, match=word) as error:
        find_spec(parse_request(request_text.format(nets)), (5,))
    assert "\n" not in str(error.value)


def test_code_is_run_only_when_named(nets: str) -> None:
    """A description of a model, as a file holds it, imports nothing."""
    spec = ModelSpec(f"{nets}:Net", {"width": 4}, (5,), 3)
    for build in (construct_template, lambda spec: create_model(spec, seed=0)):
        with pytest.raises(ModelError, match=r"add `model=` 'research.nets:Net\?width=4'"):
            build(spec)
    assert "research" not in sys.modules


def test_requests_and_descriptions(nets: str) -> None:
    spec = ModelSpec("mlp", {"hidden": [512, 512, 512], "bias": True}, (5,), 3)
    assert is_request_for(parse_request("mlp"), spec)
    assert is_request_for(parse_request("mlp?outputs=3"), spec)
    assert not is_request_for(parse_request("mlp?outputs=4"), spec)
    assert not is_request_for(parse_request("mlp?bias=false"), spec)
    assert not is_request_for(parse_request("lenet"), spec)
    found, _ = find_spec(parse_request("mlp?hidden=[512,512,512]&outputs=3"), (5,))
    assert found == spec
    assert json.loads(json.dumps(found.to_json())) == spec.to_json()
    code = ModelSpec("a:b", {"x": 1}, (5,), 3)
    assert is_request_for(ModelRequest("a:b", {"x": 1}), code)
    assert not is_request_for(ModelRequest("a:b", {}), code)
    with pytest.raises(ModelError, match=r"how many outputs.*mlp\?outputs=10"):
        find_spec(parse_request("mlp"), (5,))


def test_extra_state(monkeypatch: pytest.MonkeyPatch) -> None:
    class Extra(nn.Linear):
        def get_extra_state(self) -> dict[str, int]:
            return {"a": 1}

        def set_extra_state(self, state: object) -> None: ...

    monkeypatch.setattr(factories, "_allowed", {"extra:Extra": lambda: Extra(5, 3)})
    with pytest.raises(ModelError, match="extra state"):
        construct_template(ModelSpec("extra:Extra", {}, (5,), 3))
