"""Data sets that can be downloaded, with torchvision's names and arguments."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from numbanet.data.dataset import Dataset
from numbanet.data.download import download as download_file
from numbanet.data.idx import read_idx
from numbanet.errors import DownloadError, FormatError


class Resource(NamedTuple):
    """A file of a data set."""

    name: str
    sha256: str


class MNIST(Dataset[tuple[Any, Any]]):
    """Handwritten digits, 60,000 to train and 10,000 to test (LeCun et al., 1998).

    A sample is an image, an array of bytes ``[28, 28]``, and its label, an integer; after
    ``transform`` and ``target_transform``. (torchvision's are images of Pillow.)

    Parameters
    ----------
    root : path
        Files lie in ``root/MNIST/raw``, as torchvision has them; compressed or not.
    train : bool
        The part to train with, else to test with.
    transform, target_transform : callable, optional
        Applied to an image, to a label.
    download : bool
        Fetch files that are not there.

    Attributes
    ----------
    data : array of uint8, [N, 28, 28]
    targets : array of int64, [N]
    classes : tuple of str

    Raises
    ------
    DownloadError
        If files are not there, and are not to be or cannot be downloaded.
    FormatError
        If files hold something else.
    """

    mirrors = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    )
    max_bytes = 32 * 2**20
    image_shape = (28, 28)
    resources = {  # noqa: RUF012
        True: (
            Resource(
                "train-images-idx3-ubyte",
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            ),
            Resource(
                "train-labels-idx1-ubyte",
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            ),
        ),
        False: (
            Resource(
                "t10k-images-idx3-ubyte",
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            ),
            Resource(
                "t10k-labels-idx1-ubyte",
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ),
        ),
    }
    classes = (
        "0 - zero",
        "1 - one",
        "2 - two",
        "3 - three",
        "4 - four",
        "5 - five",
        "6 - six",
        "7 - seven",
        "8 - eight",
        "9 - nine",
    )

    def __init__(
        self,
        root: str | os.PathLike[str],
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
    ) -> None:
        self.root = root
        self.train = train
        self.transform = transform
        self.target_transform = target_transform
        if download:
            self.download()
        images, labels = (read_idx(self._path(part)) for part in self.resources[self.train])
        self._check(images, labels)
        self.data, self.targets = images, labels.astype(np.int64)

    @property
    def raw_folder(self) -> Path:
        """Where the files lie."""
        return Path(self.root) / type(self).__name__ / "raw"

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The label of each class."""
        return {name: label for label, name in enumerate(self.classes)}

    def download(self) -> None:
        """Fetch all files that are not there, those of the other part included."""
        for part in (*self.resources[True], *self.resources[False]):
            if (self.raw_folder / part.name).exists():
                continue
            name = f"{part.name}.gz"
            urls = [mirror + name for mirror in self.mirrors]
            download_file(urls, self.raw_folder / name, part.sha256, self.max_bytes)

    def _path(self, part: Resource) -> Path:
        """The file as it is, or compressed."""
        for name in (part.name, f"{part.name}.gz"):
            if (self.raw_folder / name).exists():
                return self.raw_folder / name
        raise DownloadError(
            f"{type(self).__name__} is not in {self.raw_folder}",
            got=f"no {part.name}",
            mend="Give download=True to fetch it",
        )

    def _check(self, images: np.ndarray, labels: np.ndarray) -> None:
        if images.dtype != np.uint8 or images.shape[1:] != self.image_shape:
            raise FormatError("other images", got=f"{images.dtype} {images.shape}")
        if labels.shape != images.shape[:1]:
            raise FormatError("labels do not fit the images", got=str(labels.shape))
        if labels.dtype != np.uint8 or (labels >= len(self.classes)).any():
            raise FormatError("labels that are none of the classes")

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image: Any = self.data[index]
        target: Any = int(self.targets[index])
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target

    def __len__(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        part = "Train" if self.train else "Test"
        return (
            f"Dataset {type(self).__name__}\n"
            f"    Number of datapoints: {len(self)}\n"
            f"    Root location: {os.fspath(self.root)}\n"
            f"    Split: {part}"
        )


class FashionMNIST(MNIST):
    """Articles of clothing in the place of digits (Xiao et al., 2017); else as `MNIST`."""

    mirrors = (
        "https://fashion-mnist.s3.eu-central-1.amazonaws.com/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    )
    resources = {  # noqa: RUF012
        True: (
            Resource(
                "train-images-idx3-ubyte",
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ),
            Resource(
                "train-labels-idx1-ubyte",
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            ),
        ),
        False: (
            Resource(
                "t10k-images-idx3-ubyte",
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            ),
            Resource(
                "t10k-labels-idx1-ubyte",
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        ),
    }
    classes = (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )
