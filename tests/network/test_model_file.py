"""Model files: written and read alike by Python and libbsq; damage is a clear error, no crash."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from bsqav import _core
from bsqav.codec.modelfile import model_bytes, parse_model, read_model, write_model
from bsqav.codec.modelspec import (
    KEYFRAMES,
    ModelConfig,
    Tensor,
    join_sets,
    tensor_specs,
    tensors_of_set,
)
from bsqav.errors import BsqError, ModelError, UnsupportedError
from tests.network.models import ONE_STAGE, SMALL, UNEVEN, keyframe_sizes, random_tensors
from tests.vectors.make_tiny import PATH, tiny_model

TENSORS = random_tensors(SMALL, seed=1)
TEXT = {"name": "größer", "nested": [1, -2.5e3, {"a": None, "b": [True, False]}], "q": '\\"\n😀'}
GOOD = model_bytes(SMALL, TENSORS, TEXT)
LONG_TEXT = model_bytes(SMALL, TENSORS, {"name": "x" * 2000})
TEXT_AT = 50  # its length, after magic, versions and configuration

Change = Callable[[bytearray], None]


def rehashed(body: bytes) -> bytes:
    return body + hashlib.sha256(body).digest()


def changed(change: Change, data: bytes = GOOD) -> bytes:
    """The file with a change before its digest, which is made to fit again."""
    body = bytearray(data[:-32])
    change(body)
    return rehashed(bytes(body))


def put(offset: int, value: bytes) -> Change:
    def change(body: bytearray) -> None:
        body[offset : offset + len(value)] = value

    return change


def table_start(data: bytes = GOOD) -> int:
    """Offset of the number of tensors."""
    return TEXT_AT + 4 + int(struct.unpack_from("<I", data, TEXT_AT)[0])


def entry(name: str, data: bytes = GOOD) -> int:
    """Offset of the entry of a tensor: its name's length."""
    raw = name.encode()
    return data.index(bytes([len(raw)]) + raw)


def offset_field(name: str) -> int:
    at = entry(name)
    dimensions = GOOD[at + 1 + len(name) + 1]
    return at + 1 + len(name) + 2 + 4 * dimensions


def offset_of(name: str) -> int:
    return int(struct.unpack_from("<Q", GOOD, offset_field(name))[0])


def both_refuse(data: bytes, match: str, error: type[BsqError] = ModelError) -> None:
    with pytest.raises(error, match=match):
        _core.Model(data)
    with pytest.raises(error):
        parse_model(data)


@pytest.mark.parametrize("config", [SMALL, UNEVEN, ONE_STAGE])
def test_files_come_back(config: ModelConfig, tmp_path: Path) -> None:
    tensors, keyframes = random_tensors(config, seed=2), keyframe_sizes(config)
    path = tmp_path / "model.bsqm"
    name = write_model(path, config, tensors, TEXT, keyframes)
    contents = read_model(path)
    assert (contents.config, contents.keyframes) == (config, keyframes)
    assert (contents.text, contents.id) == (TEXT, name)
    assert contents.tensors.keys() == tensors.keys()
    for key, tensor in tensors.items():
        assert contents.tensors[key].dtype == tensor.dtype
        np.testing.assert_array_equal(contents.tensors[key], tensor)
    loaded = _core.Model(path.read_bytes())
    assert (loaded.id, loaded.name) == (name, TEXT["name"])
    assert loaded.stages == config.stages
    sizes = {f"key_{size}": value for size, value in asdict(keyframes).items()}
    assert sizes.pop("key_stages") == config.stages
    assert loaded.config == {**asdict(config), **sizes}
    assert parse_model(path.read_bytes()).text == TEXT


def test_equal_contents_give_equal_files() -> None:
    backwards = dict(reversed(TENSORS.items()))
    assert model_bytes(SMALL, backwards, dict(reversed(TEXT.items()))) == GOOD


def test_tensors_of_both_sets_come_apart() -> None:
    predicted, keyframes = (tensors_of_set(TENSORS, which) for which in (False, True))
    assert len(predicted) + len(keyframes) == len(TENSORS)
    assert "dec.out.w" in predicted and "dec.out.w" in keyframes
    assert join_sets(predicted, keyframes) == TENSORS
    same = join_sets(predicted)
    assert same[KEYFRAMES + "dec.out.w"] is same["dec.out.w"]


def test_sets_must_have_the_same_stages() -> None:
    with pytest.raises(ModelError, match=r"keyframe networks of 4 stages, .* have 3"):
        model_bytes(SMALL, TENSORS, TEXT, replace(SMALL, stages=4))
    with pytest.raises(ModelError, match="keyframe networks: decoder_width is 12"):
        model_bytes(SMALL, TENSORS, TEXT, replace(SMALL, decoder_width=12))


def test_the_frozen_model_is_frozen() -> None:
    data = PATH.read_bytes()
    assert len(data) < 450_000
    assert _core.Model(data).id == "90264ad0dfb0b085da9507a897d60c46"
    assert tiny_model() == data


@pytest.mark.parametrize("size", [0, 3, 4, 7, 8, 31, 49, 50, 63, 64, 82, len(GOOD) // 2, -1])
def test_a_truncated_file_is_an_error(size: int) -> None:
    both_refuse(GOOD[:size], "model file")


def test_every_flipped_byte_is_found() -> None:
    for at in range(0, len(GOOD), 97):
        data = bytearray(GOOD)
        data[at] ^= 0x40
        with pytest.raises(BsqError):
            _core.Model(bytes(data))
    both_refuse(GOOD + b"\0", "SHA-256")
    both_refuse(b"hello, this is a text file\n" * 9, "byte 0: not a model file")


def test_other_versions_are_not_supported() -> None:
    for at, value in ((4, b"\x02\0"), (6, b"\x02\0"), (6, b"\0\0"), (6, b"\x01\x01")):
        data = changed(put(at, value))
        version, numerics = struct.unpack_from("<HH", data, 4)
        found = f"version {version} with numerics {numerics}; .* version 1 with numerics 1: update"
        both_refuse(data, found, UnsupportedError)


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (8, 31),  # bits
        (10, 0),  # stages
        (10, 9),
        (10, 4),  # stages that the tensors do not have
        (12, 0),  # widths
        (12, 12),
        (18, 520),
        (14, 1032),  # hidden
        (16, 17),  # blocks
        (30, 0),  # the same of the keyframe networks
        (36, 520),
        (32, 1032),
        (34, 17),
        (48, 1),  # reserved
        (16, 2),  # a block without tensors
        (34, 2),
        (18, 24),  # a width that the tensors do not have
        (36, 24),
    ],
)
def test_the_configuration_must_be_valid_and_that_of_the_tensors(at: int, value: int) -> None:
    both_refuse(changed(put(at, struct.pack("<H", value))), "model file, byte|tensor")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b'{"name": 3}',
        b'{"name": ""}',
        b'{"name": "a"} x',
        b'{"name": "a",}',
        b'{"name": "a", "b": 01}',
        b'{"name": "a", "b": NaN}',
        b'{"name": "a", "b": "\xff"}',
        b'{"name": "a", "b": "\xed\xa0\x80"}',
        b'{"name": "a", "b": "\\ud800"}',
        b'{"name": "a" "b": 1}',
        b'{"name": "a", "b": tru}',
        b'{"name": "a\n"}',
        b'{"name": "a\\u0000"}',
        b'{"name": "a", "b": ' + b"[" * 1500,
        b'{"name": "a", "b": ' + b"[" * 64 + b"]" * 64 + b"}",
    ],
)
def test_the_text_must_be_a_json_object_with_a_name(text: bytes) -> None:
    # As long as the text it replaces, so that nothing else is wrong with the file.
    size = table_start(LONG_TEXT) - TEXT_AT - 4
    _core.Model(changed(put(TEXT_AT + 4, b'{"name": "a"}'.ljust(size)), LONG_TEXT))
    data = changed(put(TEXT_AT + 4, text.ljust(size)), LONG_TEXT)
    with pytest.raises(ModelError, match=r"model file, byte .*(JSON|UTF-8)"):
        _core.Model(data)
    with pytest.raises(ModelError, match=r"(JSON|\"name\")"):
        parse_model(data)


def test_a_text_longer_than_the_file_is_an_error() -> None:
    both_refuse(
        changed(put(TEXT_AT, b"\xff\xff\xff\xff")), f"byte {TEXT_AT + 4}: the data ends early"
    )


def test_too_many_tensors_are_an_error() -> None:
    both_refuse(changed(put(table_start(), struct.pack("<I", 4097))), "limit of 4096")
    both_refuse(changed(put(table_start(), struct.pack("<I", 4096))), "byte")


@pytest.mark.parametrize(
    ("skip", "value", "match"),
    [
        (0, b"\0", "name of a tensor is empty"),
        (1, b"\x07", "not printable"),
        (1, b"x", "no network of this model has such a tensor|missing"),
        (10, b"\x02", "type 2"),
        (11, b"\0", "0 dimensions"),
        (11, b"\x04", "4 dimensions"),
        (12, b"\0\0\0\0", "empty"),
        (12, b"\xff\xff\xff\xff", "larger than the file"),
        (12, struct.pack("<II", 16, 96), "expected s8"),
        (20, b"\x01\0\0\0\0\0\0\0", "multiple of 64"),
        (20, b"\xc0\xff\xff\xff\xff\xff\xff\xff", "leaves the file"),
        (20, b"\0\0\0\0\0\0\0\0", "overlaps"),
    ],
)
def test_entries_must_be_valid(skip: int, value: bytes, match: str) -> None:
    assert GOOD[entry("dec.out.w") + 10] == 1  # the type, after the name
    both_refuse(changed(put(entry("dec.out.w") + skip, value)), match)


def test_tensors_must_not_overlap() -> None:
    onto = struct.pack("<Q", offset_of("dec.out.m"))
    both_refuse(changed(put(offset_field("dec.out.n"), onto)), "overlaps")


def test_gaps_must_be_zero() -> None:
    end = offset_of("dec.out.n") + 4
    assert end % 64 != 0
    both_refuse(changed(put(end, b"\x01")), "gap before tensor .* is not zero")


def refused(tensors: dict[str, Tensor], name: str) -> None:
    """The writer refuses these tensors, naming the one that is wrong."""
    with pytest.raises(ModelError, match=name):
        model_bytes(SMALL, tensors, TEXT)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dec.out.w", -128),
        ("dec.block0.table", -128),
        ("prior.head.m", -1),
        ("prior.head.n", 31),
        ("prior.head.n", 63),
        ("enc.head.b", 2**31 - 1),
        ("enc.head.b", -(2**31)),
        ("dec.block0.dw.b", 2**31 - 1),
        ("prior.side.b", -(2**31)),
        ("enc.response.w", -128),
        ("enc.response.energy", -1),
        ("enc.response.energy", 32768),
        ("key.dec.out.w", -128),
        ("key.prior.head.n", 63),
        ("key.enc.head.b", 2**31 - 1),
    ],
)
def test_limits_of_the_numerics_are_kept(name: str, value: int) -> None:
    tensors = {**TENSORS}
    for key, spec in tensor_specs(SMALL).items():
        if spec.optional and key not in tensors:
            tensors[key] = np.zeros(spec.shape, spec.dtype)
    good = model_bytes(SMALL, tensors, TEXT)
    tensors[name] = tensors[name].copy()
    tensors[name].flat[3 % tensors[name].size] = value
    refused(tensors, name.removesuffix(".b"))
    at = good.index(bytes([len(name)]) + name.encode())
    dimensions = good[at + 1 + len(name) + 1]
    (offset,) = struct.unpack_from("<Q", good, at + 1 + len(name) + 2 + 4 * dimensions)
    raw = tensors[name].tobytes()
    both_refuse(changed(put(offset, raw), good), "byte .*tensor")


def test_sums_may_reach_the_limit_but_not_pass_it() -> None:
    tensors = {**TENSORS, "dec.out.b": np.zeros(96, np.int32)}
    room = 2**31 - 1 - 127 * int(np.abs(tensors["dec.out.w"][5].astype(np.int64)).sum())
    tensors["dec.out.b"][5] = room
    _core.Model(model_bytes(SMALL, tensors, TEXT))
    tensors["dec.out.b"][5] = -room - 1
    refused(tensors, "dec.out")


def test_missing_unknown_and_wrongly_typed_tensors_are_refused() -> None:
    refused({k: v for k, v in TENSORS.items() if k != "enc.f.m"}, "enc.f.m is missing")
    refused({**TENSORS, "enc.g.m": TENSORS["enc.f.m"]}, "enc.g.m is not known")
    refused({**TENSORS, "enc.f.m": TENSORS["enc.f.m"].astype(np.int64)}, "enc.f.m is int64")
    refused({k: v for k, v in TENSORS.items() if k != "key.enc.f.m"}, "key.enc.f.m is missing")
    refused({**TENSORS, "key.enc.g.m": TENSORS["enc.f.m"]}, "key.enc.g.m is not known")
    refused(tensors_of_set(TENSORS), "tensor key.* is missing")
    with pytest.raises(ModelError, match="name"):
        model_bytes(SMALL, TENSORS, {"title": "x"})


def test_biases_may_be_left_out() -> None:
    specs = tensor_specs(SMALL)
    without = {k: v for k, v in TENSORS.items() if not specs[k].optional}
    assert _core.Model(model_bytes(SMALL, without, TEXT)).name == TEXT["name"]


def test_random_damage_under_a_valid_digest_never_crashes() -> None:
    rng = np.random.default_rng(12)
    head = offset_of(min(TENSORS, key=offset_of))  # everything before the data
    verdicts = {True: 0, False: 0}
    for _ in range(1000):

        def change(body: bytearray) -> None:
            for _ in range(int(rng.integers(1, 4))):
                at = int(rng.integers(8, head if rng.random() < 0.8 else len(body)))
                body[at] = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF, int(rng.integers(256))]))

        data = changed(change)
        try:
            _core.Model(data)
            valid = True
        except BsqError:
            valid = False
        verdicts[valid] += 1
        if valid:
            parse_model(data)
        else:
            with pytest.raises(BsqError):
                parse_model(data)
    assert min(verdicts.values()) > 20
