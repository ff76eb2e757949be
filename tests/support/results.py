"""A small result of every kind that is drawn, as files hold them."""

from __future__ import annotations

from typing import Any

TAUS = (0.0, 0.25, 0.5, 0.75, 1.0)
ERRORS = (0.1, 0.2, 0.4, 0.2, 0.0)


def path(
    kind: str = "linear", *, loss: bool = False, deviation: bool = False, missing: int | None = None, **more: Any
) -> dict[str, Any]:
    points = []
    for k, (tau, error) in enumerate(zip(TAUS, ERRORS, strict=True)):
        value = None if k == missing else error
        row = {"tau": tau, "train_error": value, "test_error": error / 2}
        row |= {"train_error_deviation": 0.05, "test_error_deviation": 0.05} if deviation else {}
        points.append(row | ({"train_loss": 3 * error, "test_loss": error} if loss else {}))
    marks = {"max": 0.4, "tau": 0.5, "above_ends": 0.3, "above_line": 0.35}
    barrier: dict[str, Any] = {"train": marks, "test": marks | {"max": 0.2}}
    barrier |= {"loss": {"train": marks | {"max": 1.2}}} if loss else {}
    return {"kind": kind, "start": "n/sgd-1.st", "end": "n/sgd-2.st", "barrier": barrier, "points": points, **more}


def families() -> dict[str, Any]:
    names = [("sgd-*.st", "sgd-*.st"), ("sgd-*.st", "adv-*.st")]
    spreads = [{"mean": error, "deviation": 0.01} for error in ERRORS]
    points = [{"tau": tau, "train_error": s, "test_error": s} for tau, s in zip(TAUS, spreads, strict=True)]
    summary = [{"families": list(pair), "pairs": 3, "barrier": {}, "points": points} for pair in names]
    return {"kind": "geodesic", "families": {}, "pairs": [], "summary": summary}


def plane(*, loss: bool = False, missing: int | None = None, scale: float = 1.0, third: str = "") -> dict[str, Any]:
    xs, ys = [0.0, 0.5, 1.0, 1.5], [0.0, 0.75, 1.5]
    points: list[dict[str, Any]] = [
        {"x": x, "y": y, "train_error": scale**x * (x + y), "test_error": y} for y in ys for x in xs
    ]
    if loss:
        points = [point | {"train_loss": point["x"], "test_loss": 4 * point["y"]} for point in points]
    if missing is not None:
        points[missing]["train_error"] = None
    corners = [("a", "a.st", 0.0, 0.0), ("b", "b.st", 1.5, 0.0), ("c", "c.st", 0.5, 1.4)]
    names = ("name", "network", "x", "y")
    networks: list[dict[str, Any]] = [
        dict(zip(names, corner, strict=True)) | {"train_error": 0.5} for corner in corners
    ]
    for corner in networks[1:] if third else ():
        corner |= {"network": "random direction", "third": third}
    return {"networks": networks, "x": xs, "y": ys, "points": points}


def around() -> dict[str, Any]:
    """A plane through one network, with a trajectory in it."""
    body = plane()
    directions = [{"direction": "gradient", "length": 2.0}, {"direction": "hessian", "length": 3.0}]
    trajectory = [{"network": f"{k}.st", "x": k / 2, "y": 0.1, "train_error": 0.1} for k in range(3)]
    return body | {"networks": body["networks"][:1], "directions": directions, "trajectory": trajectory}


def line() -> dict[str, Any]:
    points = [{"x": x, "train_error": abs(x), "test_error": 0.5, "train_loss": 3 * abs(x)} for x in (-1.0, 0.0, 1.0)]
    directions = [{"direction": "gradient", "length": 2.0}]
    return {"kind": "line", "networks": [{"network": "a.st", "x": 0.0}], "directions": directions, "points": points}


def energy(*names: str, families: dict[str, list[str]] | None = None) -> dict[str, Any]:
    networks = []
    for k, name in enumerate(names):
        rows = [{"sigma": s, "train_energy": (k + 1) * s, "train_standard_error": 0.01} for s in (0.1, 0.2)]
        networks.append({"network": name, "train_error": 0.0, "local_energy": rows})
    return {"perturbed": [], "samples": 5, "networks": networks} | ({"families": families} if families else {})


def radial(*names: str, splits: tuple[str, ...] = ("train",), value: float | None = 0.5) -> dict[str, Any]:
    def profile(direction: str, kind: str, number: float | None) -> dict[str, Any]:
        strengths = [5.0, 10.0] if kind == "angles" else [0.5, 3.0]
        means = {"mean": [number, number], "standard_error": [None, None]}
        return {"direction": direction, kind: strengths} | dict.fromkeys(splits, means)

    def network(name: str) -> dict[str, Any]:
        start = {split if split.endswith("_loss") else f"{split}_error": value for split in splits}
        profiles = [profile("random", "angles", value), profile("b.st", "angles", None)]
        width = {"growth": 0.1, "angle": 7.0}
        return (
            {"network": name} | start | {"profiles": [*profiles, profile("radial", "factors", value)], "width": width}
        )

    return {"kind": "radial", "networks": [network(name) for name in names]}


def curvature(*names: str, **replaced: Any) -> dict[str, Any]:
    network = {
        "metric": "relative",
        "eigenvalues": [9.0, 4.0],
        "residuals": [0.1, 0.2],
        "smallest": -1.0,
        "trace": {"mean": 4.0, "standard_error": 1.0},
        "density": {"nodes": [[-1.0, 0.0, 9.0]], "weights": [[0.25, 0.5, 0.25]]},
    } | replaced
    network = {key: value for key, value in network.items() if value is not None}
    return {"parameters": [], "samples": 9, "networks": [{"network": name} | network for name in names]}


def distance(*, matrix: bool = False) -> dict[str, Any]:
    pairs = [("a.st", "b.st", 1.0), ("a.st", "c.st", 2.0), ("b.st", "c.st", None)]
    rows = [{"a": a, "b": b, "geodesic": value, "cosine": 0.5} for a, b, value in pairs]
    body = {"networks": ["a.st", "b.st", "c.st"], "pairs": rows}
    return body | ({"matrix": {"metric": "geodesic", "rows": []}} if matrix else {})


def connector(*, points: bool = False, missing: bool = False) -> dict[str, Any]:
    figures = {"max": 0.3, "mean": 0.2, "at": [0, 1, 0]}
    facets = [{"vertices": list(facet), "train": figures, "test": figures} for facet in FACETS]
    whole = {"train": {"max": 0.6, "mean": 0.4, "above_ends": 0.1}, "test": {"max": 0.6}, "points": 10}
    body = {"kind": "connector", "shape": "complex", "geometry": "linear", "networks": ["a.st", "b.st", "c.st"]}
    body |= {"vertices": [], "facets": facets, "connector": whole, "before": whole, "simplex": whole}
    rows = []
    for facet in FACETS:
        for weights in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.5, 0.25, 0.25)):
            named = {f"weight_{k}": weight for k, weight in enumerate(weights, 1)}
            error = None if missing and "ab" in facet and weights[1] else 0.1 * weights[0]
            rows.append({"facet": "-".join(facet), **named, "train_error": error, "before_train_error": weights[0]})
    return body | ({"points": rows} if points else {})


FACETS = (
    ("a", "ab", "abc"),
    ("b", "ab", "abc"),
    ("a", "ac", "abc"),
    ("c", "ac", "abc"),
    ("b", "bc", "abc"),
    ("c", "bc", "abc"),
)


def log(*seeds: int, gamma: bool = False) -> dict[str, Any]:
    rows = []
    for seed in seeds:
        for epoch in (1, 2, 3):
            row = {"seed": seed, "phase": "train" if epoch > 1 else "adversarial", "epoch": epoch, "loss": 1 / epoch}
            rows.append(row | {"error": 0.5 / epoch, "gamma": 2.0**epoch if gamma else None, "learning_rate": 0.1})
    return {"points": rows}


def trained(*sizes: int, runs: int = 2, **more: Any) -> dict[str, Any]:
    rows = [
        {"network": f"{size}-{k}.st", "algo": "sgd", "train_error": k / size, "test_error": (k + 1) / size}
        | {"subspace": {"dim": size, "of": 1000, "basis": "disjoint"} | more}
        for size in sizes
        for k in range(runs)
    ]
    return {"networks": rows}


ALL = {
    "path": path(loss=True),
    "families": families(),
    "plane": plane(),
    "around": around(),
    "line": line(),
    "energy": energy("sgd-1.st", "adv-1.st"),
    "radial": radial("sgd-1.st", "adv-1.st"),
    "curvature": curvature("sgd-1.st"),
    "distance": distance(),
    "connector": connector(),
    "points of a connector": {"points": connector(points=True)["points"]},
    "log": log(1, 2),
    "training in subspaces": trained(4, 16),
}
