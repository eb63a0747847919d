"""What the data sets that are not shipped consist of, and where they are published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.data.files import ImageKind


@dataclass(frozen=True)
class Source:
    """A published data set."""

    title: str
    files: tuple[str, ...]
    """Their names, without an ending .gz."""
    address: str
    mirror: str | None = None
    checksums: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the uncompressed bytes, of the files for which it is known."""

    def where(self) -> str:
        """What to download from where."""
        mirror = f" or {self.mirror}" if self.mirror else ""
        return f"download {', '.join(self.files)} from {self.address}{mirror}"

    def again(self) -> str:
        """What to do about a damaged file."""
        return f"download it again from {self.mirror or self.address}"


@dataclass(frozen=True)
class ImageSource(Source):
    """Ten classes of images."""

    shape: tuple[int, int, int] = (1, 28, 28)
    """(channel, height, width)"""
    train: int = 60000
    test: int = 10000


CLASSES = 10

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
IDX_FILES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)

IMAGES: dict[ImageKind, ImageSource] = {
    "mnist": ImageSource(
        "MNIST",
        IDX_FILES,
        "http://yann.lecun.com/exdb/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        {
            TRAIN_IMAGES: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            TRAIN_LABELS: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            TEST_IMAGES: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            TEST_LABELS: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
    ),
    "fashion_mnist": ImageSource(
        "Fashion-MNIST", IDX_FILES, "https://github.com/zalandoresearch/fashion-mnist"
    ),
    "cifar10": ImageSource(
        "CIFAR-10",
        (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"),
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        shape=(3, 32, 32),
        train=50000,
    ),
}

PTB_FILES = PTB_TRAIN, PTB_VALID = "ptb.train.txt", "ptb.valid.txt"

#: Texts by their path under $DSS_TUI_DATA. Any other text will do as well.
TEXTS: dict[str, Source] = {
    "tinyshakespeare/input.txt": Source(
        "Tiny Shakespeare",
        ("input.txt",),
        "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        checksums={"input.txt": "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"},
    ),
    "ptb": Source(
        "Penn Treebank",
        PTB_FILES,
        "http://www.fit.vutbr.cz/~imikolov/rnnlm/simple-examples.tgz",
    ),
}
