from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_graph.errors import ConfigError
from nst_graph.yamlfile import MAX_BYTES, dump_yaml, parse_yaml, read_yaml


def test_positions_are_those_of_keys_and_items() -> None:
    document = parse_yaml("a: 1\nb:\n  c: [5, 6]\n  d: {e: 7}\n", "job.yaml")
    assert document.where(("a",)) == "job.yaml:1:1: a"
    assert document.where(("b", "c")) == "job.yaml:3:3: b.c"
    assert document.where(("b", "c", 1)) == "job.yaml:3:10: b.c.1"
    assert document.where(("b", "d", "e")) == "job.yaml:4:7: b.d.e"


def test_a_missing_key_is_placed_at_its_section() -> None:
    document = parse_yaml("a: 1\nb: {c: 2}\n", "job.yaml")
    assert document.where(("b", "zzz")) == "job.yaml:2:1: b.zzz"
    assert document.where(("zzz",)) == "job.yaml: zzz"


@pytest.mark.parametrize("text", ["1e4", "1E4", "1.e4", "1e+4", "1.0e4", "+1e4", "10e3"])
def test_exponents_are_numbers(text: str) -> None:
    value = parse_yaml(f"a: {text}", "x").data["a"]
    assert (value, type(value)) == (10_000, int)


@pytest.mark.parametrize("text", ["1e-4", "15e-1", "1e300", "1e999", "-1e999", "1000.0", ".nan"])
def test_other_numbers_stay_what_they_were(text: str) -> None:
    assert type(parse_yaml(f"a: {text}", "x").data["a"]) is float


@pytest.mark.parametrize("text", ["e4", "1e", "'1e4'", "1e4x"])
def test_what_is_no_number_stays_text(text: str) -> None:
    assert isinstance(parse_yaml(f"a: {text}", "x").data["a"], str)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", "job.yaml:3:1", "second time"),
        ("a: {b: 1, b: 2}\n", "job.yaml:1:11", "second time"),
        ("a: [1, 2\nb: 3\n", "job.yaml:2", "expected"),
        ("a: !!python/object/apply:os.system ['true']\n", "job.yaml:1:4", "constructor"),
        ("? [1, 2]\n: 3\n", "job.yaml:1:3", "cannot be a key"),
        ("a: 2026-13-45\n", "job.yaml", "month"),
        ("\ta: 1\n", "job.yaml:1", "token"),
        ("a: 1\n---\nb: 2\n", "job.yaml:2", "another document"),
        ("- 1\n- 2\n", "job.yaml", "list"),
        ("", "job.yaml", "empty"),
        ("just words", "job.yaml", "str"),
    ],
)
def test_faults_have_a_place_and_a_reason(text: str, place: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "job.yaml")
    assert caught.value.where.startswith(place)
    assert words in caught.value.what
    assert caught.value.remedy


def test_deep_nesting_is_an_error_not_a_crash() -> None:
    with pytest.raises(ConfigError):
        parse_yaml("a: " + "[" * 20_000 + "]" * 20_000, "job.yaml")


def test_files_that_are_no_job(tmp_path: Path) -> None:
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * (MAX_BYTES + 1))
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00\x80")
    for path in (large, binary, tmp_path, tmp_path / "absent.yaml"):
        with pytest.raises(ConfigError) as caught:
            read_yaml(path)
        assert str(path) in caught.value.where


@given(st.text(max_size=200))
def test_any_text_is_a_mapping_or_a_clear_error(text: str) -> None:
    try:
        assert isinstance(parse_yaml(text, "x").data, dict)
    except ConfigError as error:
        assert error.what
        assert error.remedy


@given(st.text(max_size=40) | st.sampled_from(["12e4567", "1e4", "1.e4", ".5E-3", "1_0e1", "yes"]))
def test_what_is_written_is_read_back(text: str) -> None:
    data = {"name": text, "list": [text, 1e-07, 1e22, None], "section": {"flag": True, "n": 3}}
    assert parse_yaml(dump_yaml(data), "x").data == data
