"""Images and sounds have the size that was asked for, are valid files, and no two are alike."""

from __future__ import annotations

import base64
import io
import json
import math
import wave
from typing import Any

import numpy as np
import pytest
from PIL import Image

from groundswell.replay.audio import audio_item, samples_of
from groundswell.replay.images import MOST_TOKENS, grid_of, image_item, png_of
from groundswell.replay.prompts import item_number, key_of, numbers_at


def smart_resize(height: int, width: int, factor: int = 28) -> tuple[int, int]:
    """What Qwen2-VL makes of an image's size, as its paper and its published configuration say."""
    assert max(height, width) / min(height, width) <= 200
    least, most = 56 * 56, 28 * 28 * 16_384
    high, wide = round(height / factor) * factor, round(width / factor) * factor
    if high * wide > most:
        scale = math.sqrt(height * width / most)
        return math.floor(height / scale / factor) * factor, math.floor(width / scale / factor) * factor
    if high * wide < least:
        scale = math.sqrt(least / (height * width))
        return math.ceil(height * scale / factor) * factor, math.ceil(width * scale / factor) * factor
    return high, wide


def decoded(item: bytes) -> Image.Image:
    url = json.loads(item)["image_url"]["url"]
    kind, data = url.split(",")
    assert kind == "data:image/png;base64"
    image = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
    image.load()
    return image


@pytest.mark.parametrize("tokens", [1, 2, 3, 4, 5, 7, 64, 199, 211, 256, 997, 1020, 1021, 4096, 16_384, 100_000])
def test_a_model_takes_as_many_tokens_from_an_image_as_it_is_said_to_have(tokens: int) -> None:
    image = decoded(image_item(tokens, 5, 6, 7))
    assert image.format == "PNG"
    high, wide = smart_resize(image.height, image.width)
    assert (high, wide) == (image.height, image.width)
    assert high // 28 * (wide // 28) == math.prod(grid_of(tokens))


def test_a_size_has_the_nearest_number_of_tokens_that_a_size_can_have() -> None:
    row, column = np.meshgrid(np.arange(1, 129), np.arange(1, MOST_TOKENS + 1), indexing="ij")
    possible = np.unique(
        (row * column)[(row <= column) & (column <= 200 * row) & (row * column >= 4) & (row * column <= MOST_TOKENS)]
    )
    above = np.minimum(np.searchsorted(possible, np.arange(MOST_TOKENS + 1)), possible.size - 1)
    for tokens in range(4, MOST_TOKENS + 1):
        rows, columns = grid_of(tokens)
        nearest = min(abs(int(possible[above[tokens] - back]) - tokens) for back in (0, 1))
        assert abs(rows * columns - tokens) == nearest
        assert rows <= columns <= 200 * rows


@pytest.mark.parametrize("patch", [14, 28, 32, 30])
def test_squares_may_have_any_size(patch: int) -> None:
    data, tokens = png_of(12, 1, patch)
    image = Image.open(io.BytesIO(data))
    assert tokens == 12
    assert image.size == (4 * patch, 3 * patch)
    pixels = np.asarray(image.convert("RGB"))
    assert (pixels.reshape(3, patch, 4, patch, 3) == pixels[::patch, ::patch][:, None, :, None]).all()


def test_images_differ_in_what_a_model_sees() -> None:
    numbers = [0, 1, 2, 2**24, 2**40, 2**63, 2**64 - 1]
    images: list[Image.Image] = [Image.open(io.BytesIO(png_of(4, number)[0])) for number in numbers]
    images += [decoded(image_item(4, 3, row, item)) for row in range(200) for item in range(3)]
    assert len({image.convert("RGB").tobytes() for image in images}) == len(images)


def test_an_image_is_the_same_whichever_way_it_is_made() -> None:
    for tokens in (4, 77, 1000):
        data, said = png_of(tokens, item_number(8, 2**40, 1))
        item = image_item(tokens, 8, 2**40, 1)
        assert base64.b64decode(json.loads(item)["image_url"]["url"].split(",")[1]) == data
        assert said == math.prod(grid_of(tokens))


def test_a_large_image_is_a_short_text() -> None:
    assert len(image_item(1280, 0, 0, 0)) < 20_000


def test_items_of_requests_have_numbers_of_their_own() -> None:
    numbers = [item_number(1, row, item) for row in range(10_000) for item in range(10)]
    assert len(set(numbers)) == 100_000
    assert not set(numbers) & {item_number(2, row, item) for row in range(10_000) for item in range(10)}
    assert item_number(1, 77, 3) == int(numbers_at(key_of(1, "items"), np.array([77 * 2**16 + 3]))[0])


def sound(item: bytes) -> tuple[Any, np.ndarray[tuple[int], np.dtype[np.int16]]]:
    part = json.loads(item)["input_audio"]
    assert part["format"] == "wav"
    data = base64.b64decode(part["data"], validate=True)
    with wave.open(io.BytesIO(data)) as file:
        assert len(data) == 44 + 2 * file.getnframes()
        return file.getparams(), np.frombuffer(file.readframes(file.getnframes()), "<i2")


@pytest.mark.parametrize("tokens", [1, 2, 3, 10, 25, 750, 1111, 3000])
@pytest.mark.parametrize("tokens_per_s", [25.0, 12.5, 7.3])
def test_a_sound_is_as_long_as_its_tokens(tokens: int, tokens_per_s: float) -> None:
    about, samples = sound(audio_item(tokens, tokens_per_s, 1, tokens, 0))
    assert (about.nchannels, about.sampwidth, about.framerate) == (1, 2, 16_000)
    assert about.nframes == samples.size == samples_of(tokens, tokens_per_s)
    assert abs(samples.size / 16_000 - tokens / tokens_per_s) <= 0.5 / 16_000


def test_sounds_differ_all_along_and_are_the_same_again() -> None:
    sounds = [sound(audio_item(100, 25.0, 1, row, 0))[1] for row in range(20)]
    for row, one in enumerate(sounds):
        assert (one == sound(audio_item(100, 25.0, 1, row, 0))[1]).all()
        # two values of 2,048 are equal by chance in 31 of 64,000 samples
        assert all(np.count_nonzero(one == other) < 31 + 5 * 31**0.5 for other in sounds[:row])


def test_a_sound_is_noise_that_is_neither_silent_nor_clipped() -> None:
    _, samples = sound(audio_item(500, 25.0, 1, 2, 3))
    assert 580 < samples.std() < 602  # uniform on 2,048 values: 591.2, with a standard error of 0.5
    assert np.abs(samples).max() <= 1024


def test_a_long_sound_has_no_seam() -> None:
    # The noise repeats after 3 · 2**17 samples; what was encoded piece by piece is what repeats.
    _, samples = sound(audio_item(3000, 25.0, 1, 2, 3))
    body = samples[8:]
    assert (body[3 * 2**17 :] == body[: body.size - 3 * 2**17]).all()
    assert np.unique(body[: 3 * 2**17]).size == 2048
