"""Images are changed as a loop over single images does it, and bytes stay bytes where they can."""

from __future__ import annotations

import pytest
import torch

from engine.data.base import ByImage, Scaling
from engine.draws import mixed
from engine.problem.augment import augmented
from engine.problem.samples import Samples, central
from engine.spec.augment import Augment
from engine.spec.validation import validated
from tests.support.torch_recipes import changed, standardized

KEYS = mixed(mixed(torch.tensor([41, 42])[:, None], 6), torch.arange(5))  # (bead, sample)
IMAGES = torch.randint(256, (5, 3, 9, 8), generator=torch.Generator().manual_seed(3))


def images() -> torch.Tensor:
    """(bead, sample, channel, height, width) bytes."""
    return torch.stack([IMAGES, IMAGES.flip(0)]).to(torch.uint8)


@pytest.mark.parametrize("side", [None, 6])
@pytest.mark.parametrize("crop", [0, 3])
def test_each_image_is_changed_as_in_a_loop(crop: int, side: int | None) -> None:
    spec = Augment(crop=crop, flip=0.5, brightness=63, contrast=(0.2, 1.8))
    square = images()[..., :8, :] if side is None else images()
    found = augmented(square, KEYS, spec, side, torch.float64)
    for bead, seed in enumerate((41, 42)):
        for sample in range(5):
            image = square[bead, sample].double()
            expected = changed(image, seed, 6, sample, spec, side or 8)
            torch.testing.assert_close(found[bead, sample], expected, rtol=1e-6, atol=1e-4)


def test_places_alone_leave_bytes_as_they_are() -> None:
    found = augmented(images(), KEYS, Augment(crop=2, flip=1.0), None, torch.float32)
    assert found.dtype == torch.uint8 and found.shape == images().shape
    turned = augmented(images(), KEYS, Augment(flip=1.0), 6, torch.float32)
    assert torch.equal(turned, central(images(), 6).flip(-1))
    kept = augmented(images(), KEYS, Augment(), None, torch.float32)
    assert torch.equal(kept, images())


def test_an_image_does_not_depend_on_the_others() -> None:
    spec = Augment(crop=2, flip=0.5, brightness=9, contrast=(0.5, 2.0))
    whole = augmented(images(), KEYS, spec, 6, torch.float32)
    alone = augmented(images()[1:, 3:], KEYS[1:, 3:], spec, 6, torch.float32)
    assert torch.equal(alone, whole[1:, 3:])


def test_every_place_and_both_sides_come_up_equally_often() -> None:
    """4 × 3 windows of an image, turned or not, in 24 000 draws: 1 000 of each."""
    image = torch.arange(30, dtype=torch.uint8).view(1, 1, 5, 6)
    keys = mixed(torch.tensor(5), torch.arange(24_000))
    found = augmented(
        image.expand(24_000, -1, -1, -1), keys, Augment(crop=0, flip=0.5), 3, torch.float32
    )
    corners = found[:, 0, 0, [0, 2]].tolist()
    counts = [corners.count(each) for each in map(list, {tuple(each) for each in corners})]
    assert len(counts) == 3 * 4 * 2
    assert min(counts) > 1000 - 5 * 32 and max(counts) < 1000 + 5 * 32


def test_samples_show_the_middle_and_scale_it() -> None:
    x = images()[0]
    plain = Samples(x, torch.zeros(5), ByImage(), holds="pixels", crop=5)
    shown, _ = plain.part(slice(1, 4), torch.float64)
    assert shown.shape == (3, 3, 5, 5)
    for image, raw in zip(shown, x[1:4, :, 2:7, 1:6], strict=True):
        torch.testing.assert_close(image, standardized(raw.double()), rtol=1e-12, atol=1e-12)
    flat = Samples(
        torch.full((1, 3, 9, 8), 7, dtype=torch.uint8), torch.zeros(1), ByImage(), holds="pixels"
    )
    assert flat.part(slice(None), torch.float32)[0].abs().max() < 1e-3
    scaled = Samples(
        x, torch.zeros(5), Scaling((0.5, 0.4, 0.3), (0.2, 0.3, 0.1)), holds="pixels", crop=5
    )
    expected = (x[:, 1, 2:7, 1:6].double() / 255 - 0.4) / 0.3
    torch.testing.assert_close(scaled.part(slice(None), torch.float64)[0][:, 1], expected)
    assert scaled[torch.tensor([2])].crop == 5 and scaled.to(torch.device("cpu")).crop == 5


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"contrast": [1.2, 0.4]}, "least, largest"),
        ({"flip": 1.5}, "less than or equal to 1"),
        ({"crop": -1}, "greater than or equal to 0"),
    ],
    ids=str,
)
def test_changes_that_cannot_be_are_refused(keys: dict[str, object], why: str) -> None:
    with pytest.raises(Exception, match=why):
        validated(Augment, keys)
