import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.folder import (
    DamagedError,
    damage,
    encode_table,
    read_manifest,
    read_table,
    read_verified,
    table_path,
    write_file,
    write_table,
)
from tests.analysis.folder.test_contract import TABLE


def test_a_table_comes_back_as_it_was_and_any_reader_can_read_it(tmp_path):
    write_table(tmp_path, "outcomes", "x", TABLE)
    back = read_table(tmp_path, "outcomes", "x")
    assert back.replace_schema_metadata(None).equals(TABLE)
    assert np.signbit(back["value"].to_numpy()).tolist() == [False, True]
    assert pq.read_table(tmp_path / "outcomes" / "x.parquet").num_rows == 2


def test_equal_tables_give_equal_bytes():
    again = pa.concat_tables([TABLE.slice(0, 1), TABLE.slice(1)]).combine_chunks()
    assert encode_table("outcomes", "x", TABLE) == encode_table("outcomes", "x", again)


def test_every_single_bit_and_every_length_is_covered_by_the_digest(tmp_path):
    path = table_path(tmp_path, "outcomes", "x")
    write_table(tmp_path, "outcomes", "x", TABLE)
    content = path.read_bytes()
    spoilt = [content[:length] for length in range(0, len(content), 7)]
    for place in range(len(content)):
        copy = bytearray(content)
        copy[place] ^= 1 << place % 8
        spoilt.append(bytes(copy))
    for one in spoilt:
        path.write_bytes(one)
        with pytest.raises(DamagedError, match=r"outcomes/x.parquet: "):
            read_verified(tmp_path, "outcomes", "x")


def test_a_sound_file_under_another_name_is_damage(tmp_path):
    write_table(tmp_path, "outcomes", "x", TABLE)
    table_path(tmp_path, "outcomes", "x").rename(table_path(tmp_path, "outcomes", "y"))
    assert [str(error.path) for error in damage(tmp_path, ("outcomes",), "y")] == [f"{tmp_path}/outcomes/y.parquet"]


def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    write_file(tmp_path / "file", b"old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_file(tmp_path / "file", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"old")]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "3", '{"layers": []}', '{"format": 1}', '{"layers": [{}]}', '{"layers": [3]}', "[" * 100_000],
)
def test_a_manifest_that_is_none_is_damage(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(DamagedError, match=r"manifest.json: is not the manifest"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("found", ["2", "0", '"one"', "null"])
def test_another_format_is_refused_before_the_rest_is_looked_at(tmp_path, found):
    (tmp_path / "manifest.json").write_text(f'{{"format": {found}, "layers": "of another kind"}}')
    with pytest.raises(DamagedError, match=r"manifest.json: has format .*, and this version of Chisel reads 1$"):
        read_manifest(tmp_path)
