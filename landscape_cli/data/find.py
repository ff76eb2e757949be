"""Which source a name of data stands for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from landscape_cli.arguments import check_whole
from landscape_cli.choices import DataName, Task, check_choice
from landscape_cli.data import files, npz
from landscape_cli.data.given import GIVEN
from landscape_cli.data.image_folder import ImageFolder
from landscape_cli.data.source import DataSource
from landscape_cli.data.user_function import UserFunction, is_function
from landscape_cli.errors import DataError, shown
from landscape_cli.network import MOST_INPUTS

if TYPE_CHECKING:
    from landscape_cli.data.spec import DataSpec

OTHERS = ", a FILE.safetensors or FILE.npz, a folder of images by class, or package.module:function?argument=1"
COLORS = 3


def find_source(spec: DataSpec) -> DataSource:
    """Return where the samples come from, having checked that what is asked for is there.

    Raises:
        DataError: if there is no such data set or task, the task is not one of this data, or the size of images is
            none, or of data without images.
    """
    if spec.task is not None:
        check_choice("task", spec.task, Task, DataError)
    source = _source_of(spec.name)
    if spec.task is not None and spec.task not in source.tasks:
        suited = [name.value for name in DataName if spec.task in name.load().tasks]
        raise DataError(
            f"the task {spec.task} is for {', '.join(suited)}, a FILE.safetensors or FILE.npz, not {shown(spec.name)}"
        )
    if spec.image_size is not None:
        _check_image_size(spec, source)
    return source


def _source_of(name: str) -> DataSource:
    """Return the source that a name stands for.

    Raises:
        DataError: if it stands for none.
    """
    if name == GIVEN:
        raise DataError("the data were given in Python, and in no file: name some with `data=`")
    if name in list(DataName):
        source: DataSource = DataName(name).load()
        return source
    if os.path.isdir(name):
        return ImageFolder()
    if is_function(name):
        return UserFunction()
    if Path(name).suffix == npz.SUFFIX:
        return npz.NpzFile()
    if Path(name).suffix in files.SUFFIXES:
        return files.SafetensorsFile()
    check_choice("data set", name, DataName, DataError, more=OTHERS)
    raise AssertionError


def _check_image_size(spec: DataSpec, source: DataSource) -> None:
    """Check that images are to be brought to a size that they can have, and that there are images.

    Raises:
        DataError: if not.
    """
    size = spec.image_size
    if not isinstance(source, ImageFolder):
        raise DataError(f"`image_size=` is for folders of images, and {shown(spec.name)} is none: leave it out")
    if not isinstance(size, tuple) or len(size) != 2:
        raise DataError(f"`image_size=` takes a height and a width, and is {shown(repr(size))}")
    for each in size:
        check_whole("image_size", each, DataError, least=1)
    if COLORS * size[0] * size[1] > MOST_INPUTS:
        raise DataError(
            f"`image_size=` makes inputs of {COLORS * size[0] * size[1]:,} numbers: at most {MOST_INPUTS:,}"
        )
