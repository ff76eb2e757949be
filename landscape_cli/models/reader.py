"""Reading networks from files, landscape's own or foreign ones of a model that the user names."""

from __future__ import annotations

import warnings
from collections.abc import Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from landscape_cli.arguments import check_kind
from landscape_cli.errors import CheckpointError, ModelError, Remark, listed, quoted, shown
from landscape_cli.forward.functional import unsaved_buffers
from landscape_cli.forward.parts import made_of_parts
from landscape_cli.io.checkpoint import Checkpoint, check_tensors, read_checkpoint, read_structure
from landscape_cli.io.entries import Entry
from landscape_cli.io.external import is_foreign, read_foreign
from landscape_cli.io.external import read_structure as read_foreign_structure
from landscape_cli.io.file_tensors import FileTensors
from landscape_cli.io.origin import origin_of
from landscape_cli.io.shards import find_files
from landscape_cli.models.alike import check_dtypes, check_same_model
from landscape_cli.models.conventions import ignored_names, saved_names
from landscape_cli.models.effective import Form, burnt, tensors_of
from landscape_cli.models.factories import allow_code
from landscape_cli.models.fitting import check_network, check_structure, fit_tensors, layout_of, load_params
from landscape_cli.models.naming import Match, match_names
from landscape_cli.models.registry import construct_template, find_spec, is_request_for, measured
from landscape_cli.models.request import HOW, describe_model, format_request, needs_code, parse_request

if TYPE_CHECKING:
    from torch import nn

    from landscape_cli.network import ModelSpec, Params, WholeInputs

MOST_OPEN = 64
"""Of so many networks at most the files are kept open."""


def read_network(
    path: str | Path,
    *,
    model: str | None = None,
    input_shape: tuple[int, ...] | None = None,
    key: str = "",
    inputs: WholeInputs | None = None,
    output: str | None = None,
) -> Checkpoint:
    """Read one network from a file, whoever wrote it, and check that it fits its model.

    Args:
        path: a checkpoint of landscape's, or a `state_dict` that others have saved, as safetensors or by `torch.save`
            (of which no code is run); a folder, an index or one shard of transformers' stands for the whole network.
        model: which model it is of, for files that do not say so: `torchvision:NAME?argument=value`,
            `package.module:factory?argument=value`, or a name of the registry with its arguments.
        input_shape: the shape of one input of that model, without the batch.
        key: the entry of the file that holds the network, dotted for nesting (`ema`, `model.net`), or what its names
            begin with; by default the first of the usual ones.
        inputs: which whole numbers it takes, as token ids are; by default found by running it.
        output: which of its outputs is measured, by name or number; by default the first.

    Returns:
        The network, its tensors on the CPU in the file's dtypes, and what is known of it: `build_model(network.model,
        network.params)` makes the model.

    Raises:
        CheckpointError: if it cannot be read, or more must be said about it.
        ModelError: if it does not fit its model.
    """
    networks, _ = NetworkReader(model, input_shape, key, inputs, output).read_all([Path(path)])
    return networks[0]


class NetworkReader:
    """Reads files, with what the user says about their model."""

    def __init__(
        self,
        model: str | None = None,
        input_shape: tuple[int, ...] | None = None,
        key: str | Sequence[str] = "",
        inputs: WholeInputs | None = None,
        output: str | None = None,
    ) -> None:
        """Take note of the model, and import the code that its name names, if any.

        Args:
            model: `torchvision:NAME?argument=value`, `package.module:factory`, or a name of the registry: what foreign
                files need, and those of models that the user's code makes.
            input_shape: the shape of one input, which foreign files need.
            key: the entry of foreign files that holds the network; by default, and where it is empty, the first of the
                usual ones. Several are for one such file each, as `read_all` lists them.
            inputs: which whole numbers the model takes; by default found by running it.
            output: which of the model's outputs is measured, by name or number; by default the first.

        Raises:
            ModelError: if the model is malformed or its code cannot be imported.
        """
        if model is not None:
            check_kind("model", model, str, f"name one, as {HOW}", ModelError)
        self.request = None if model is None else parse_request(model)
        self.shape, self.key, self.inputs, self.output = input_shape, key, inputs, output
        if self.request is not None and needs_code(self.request.name):
            allow_code(self.request.name)
        self._again = False
        self._model: tuple[ModelSpec, nn.Module] | None = None  # of foreign files, once there is one
        # Of the last file of landscape's own, for the tensors that it has.
        self._template: tuple[tuple[ModelSpec, Set[str]], nn.Module] | None = None

    def read_all(
        self, paths: Sequence[str | Path], *, plain: Sequence[str] = (), again: bool = False
    ) -> tuple[list[Checkpoint], nn.Module]:
        """Read files of one model; return the networks and the model.

        Args:
            paths: the files.
            plain: of which kinds (`forward/parts.py`) tensors that are made of parts are to be plain, in the model too;
                networks then know the form that they are stored in.
            again: whether tensors of landscape's own files may be let go and read again (`io/file_tensors.py`); the
                model then holds no large parameters of its own.

        Raises:
            CheckpointError: if one cannot be read.
            ModelError: if one does not fit its model, or they are of different models.
        """
        check_kind("paths", paths, Sequence, "give a list of files", CheckpointError)
        if isinstance(paths, str) or not paths:
            raise CheckpointError(f"`paths=` must list one file or more, and is {paths!r}")
        self._again = again and len(paths) <= MOST_OPEN
        networks = [self._read(Path(path), key) for path, key in zip(paths, self._keys(paths), strict=True)]
        model: nn.Module | None = None
        models: dict[frozenset[str], nn.Module] = {}  # by the tensors: those of one may be made of parts, another's not
        for k, network in enumerate(networks):
            check_same_model(network, networks[0])
            names = frozenset(network.params if plain else networks[0].params)
            if names not in models:
                models[names] = _build(network, self._taken_template(network))
            check_network(network.path, models[names], network.params)
            networks[k], found = _with_plain(network, models[names], plain)
            model = model or found
            check_dtypes(networks[k], networks[0])
        assert model is not None
        layout = layout_of(next(iter(models.values())))
        return [replace(network, layout=layout) for network in networks], model

    def read(self, path: str | Path) -> Checkpoint:
        """Read a file of either kind.

        Raises:
            CheckpointError: if it cannot be read, or the user must say more about it.
            ModelError: if it is of another model than the user says, or does not fit it.
        """
        [key] = self._keys([path])
        return self._read(Path(path), key)

    def _read(self, path: Path, key: str) -> Checkpoint:
        return self._read_foreign(path, key) if is_foreign(path) else self._read_checkpoint(path)

    def _keys(self, paths: Sequence[str | Path]) -> list[str]:
        """Return the entry that is to be read of each file.

        Raises:
            CheckpointError: if there are others than one for all foreign files, or one for each.
        """
        keys = [self.key] if isinstance(self.key, str) else self.key
        check_kind("key", keys, Sequence, "name an entry of the file, or one for each file", CheckpointError)
        for key in keys:
            check_kind("key", key, str, "name an entry of the file", CheckpointError)
        foreign = [is_foreign(path) for path in paths]
        if any(keys) and not any(foreign):
            named = listed(map(shown, keys))
            raise CheckpointError(f"`key=` {named} is for files that landscape has not written: leave it out")
        if len(keys) == 1:
            return [keys[0]] * len(paths)
        if len(keys) != sum(foreign):
            raise CheckpointError(
                f"`key=` is given {len(keys)} times for {sum(foreign)} files that landscape has not written: give it "
                "once for all, or once for each"
            )
        rest = iter(keys)
        return [next(rest) if each else "" for each in foreign]

    def _read_checkpoint(self, path: Path) -> Checkpoint:
        described = read_structure(path)
        if described is not None:
            spec, tensors = described
            self._check_request(path, spec)
            self._check_structure(path, spec, tensors)
        network = read_checkpoint(path, again=self._again)
        self._check_request(path, network.model)
        return network

    def _check_structure(self, path: Path, spec: ModelSpec, tensors: Params) -> None:
        """Check the tensors that a file promises against its model, before they are read.

        Raises:
            ModelError: if they do not fit, or the model cannot be built.
        """
        try:
            if self._template is None or self._template[0] != (measured(spec), tensors.keys()):
                self._template = (measured(spec), tensors.keys()), construct_template(measured(spec), tensors)
            check_structure(self._template[1], tensors)
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from error

    def _taken_template(self, network: Checkpoint) -> nn.Module | None:
        """Return the template that a network was checked against, which is not to be used again; or None."""
        if self._template is None or self._template[0] != (network.model, network.params.keys()):
            return None
        (_, template), self._template = self._template, None
        return template

    def _check_request(self, path: Path, spec: ModelSpec) -> None:
        """Check what the user says of a model against what a checkpoint of landscape's does.

        Raises:
            CheckpointError: if code makes the model, and the user has not named it.
            ModelError: if the user names another model, or inputs of another shape.
        """
        if self.request is None and needs_code(spec.name):
            raise CheckpointError(
                f"{path} is of a model that code makes, which is run only if you name it: "
                f"add `model=` {quoted(format_request(spec.name, spec.arguments))}"
            )
        if self.request is not None and not is_request_for(self.request, spec):
            named = shown(format_request(self.request.name, self.request.arguments))
            remedy = "leave that out, or correct it"
            if needs_code(spec.name):
                remedy = f"use `model=` {quoted(format_request(spec.name, spec.arguments))}"
            raise ModelError(f"{path} is {describe_model(spec)}, not `model=` {named}: {remedy}")
        if self.shape is not None and self.shape != spec.input_shape:
            raise ModelError(f"{path} takes inputs of shape {spec.input_shape}, not `input_shape=` {self.shape}")
        if self.inputs not in {None, spec.inputs}:
            taken = "real numbers" if spec.inputs is None else f"{spec.inputs.low},{spec.inputs.high}"
            raise ModelError(f"{path} takes {taken}, not `input_range=` {self.inputs.low},{self.inputs.high}")
        if self.output not in {None, spec.output}:
            raise ModelError(
                f"{path} is measured by its {'first output' if spec.output is None else shown(spec.output)}, not "
                f"`model_output=` {shown(str(self.output))}"
            )

    def _read_foreign(self, path: Path, key: str) -> Checkpoint:
        if path.is_dir():
            find_files(path)
        if self.request is None:
            raise CheckpointError(
                f"{path} was not written by landscape and does not say which model it is: name that with `model=` "
                f"({HOW}) and the shape of one input with `input_shape=` 3,32,32"
            )
        if self.shape is None:
            raise CheckpointError(
                f"{path} was not written by landscape: give the shape of one input as well, as in "
                "`input_shape=` 3,32,32"
            )
        structure = read_foreign_structure(path, key)
        file = None if structure is not None else read_foreign(path, key)
        if self._model is None:
            self._model = find_spec(self.request, self.shape, self.inputs, self.output)
        spec, template = self._model
        expected = template.state_dict()
        try:
            tensors = file.entry.tensors if file else structure or {}
            ignored, saved = ignored_names(template), saved_names(template)
            match = match_names(expected, tensors, unsaved_buffers(template), ignored, saved)
            if file is None:
                check_structure(template, match.renamed(structure or {}), foreign=True, prefix=match.prefix)
                file = read_foreign(path, key)
            params = fit_tensors(template, match.renamed(file.entry.tensors), prefix=match.prefix)
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from error
        check_tensors(path, params)
        _say_what_is_left(path, file.entry, match)
        origin = origin_of(match.owners, key=file.entry.key, absent=expected.keys() - match.theirs.keys())
        return Checkpoint(
            params, spec, data={}, origin=origin, path=str(path), sha256=file.sha256, files=file.files_apart(path)
        )


def _say_what_is_left(path: Path, entry: Entry, match: Match) -> None:
    """Say what of a file is not read: other networks, and what lies beside the model."""
    rivals, chosen = entry.rivals, entry.key
    if match.rivals:
        rivals, chosen = match.rivals, match.prefix.removesuffix(".")
    remarks = []
    if rivals:
        others = listed(map(shown, rivals))
        remarks.append(f"{path}: took the network under {shown(chosen)!r}, not {others}: choose with `key=`")
    if match.beside:
        whose = f"whose names begin with {shown(match.prefix)!r}" if match.prefix else "which does not keep that"
        remarks.append(f"{path}: left out what is not the model's, {whose}: {listed(map(shown, match.beside))}")
    for remark in remarks:
        warnings.warn(remark, Remark, stacklevel=5)


def _build(network: Checkpoint, template: nn.Module | None) -> nn.Module:
    """Return a network's model, made of a template of it if there is one.

    Raises:
        ModelError: if it cannot be built, naming the file.
    """
    try:
        model = construct_template(network.model, network.params) if template is None else template
        if isinstance(network.params, FileTensors):
            learned = {name for name, _ in model.named_parameters(remove_duplicate=False)}
            return load_params(model, network.params.outlined(learned))
        return load_params(model, network.params)
    except ModelError as error:
        raise ModelError(f"{network.path}: {error}") from error


def _with_plain(network: Checkpoint, model: nn.Module, kinds: Sequence[str]) -> tuple[Checkpoint, nn.Module]:
    """Return a network and its model with tensors of these kinds plain that are made of parts.

    Raises:
        CheckpointError: if they are not finite, as those of weight norm without a direction.
    """
    made = [tensor for tensor in made_of_parts(model) if tensor.kind in kinds]
    if not made:
        return network, model
    plain = burnt(model, network.params, made)
    params = tensors_of(plain)
    check_tensors(network.path, params)
    return replace(network, params=params, form=Form(tuple(made), network.params)), plain
