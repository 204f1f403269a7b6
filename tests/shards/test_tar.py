import io
import os
import tarfile
from pathlib import Path

import pytest

from cotgen.errors import CotgenError
from cotgen.shards.tar import ShardError, TarSample, read_record, read_sample, read_shard, writing_shard

SAMPLES = [("a-1", b'{"n":1}', b"\xff\xd8one"), ("a-2", b'{"n":2}', b""), ("b_3", b"x" * 512, b"y" * 1024)]


def write(path: Path, samples: list[tuple[str, bytes, bytes]] = SAMPLES) -> list[int]:
    with writing_shard(path) as writer:
        return [writer.add(key, json, jpg) for key, json, jpg in samples]


def by_tarfile(members: list[tuple[str, bytes]]) -> bytes:
    """The same members as Python's tarfile writes them with the fixed header fields."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def test_bytes_are_those_of_tarfile_with_time_and_owner_zero(tmp_path: Path) -> None:
    write(tmp_path / "s.tar")
    members = [(f"{k}.{e}", d) for k, json, jpg in SAMPLES for e, d in (("jpg", jpg), ("json", json)) if d]
    assert (tmp_path / "s.tar").read_bytes() == by_tarfile(members)


def test_reads_back_in_order_and_by_offset(tmp_path: Path) -> None:
    offsets = write(tmp_path / "s.tar")
    expected = [TarSample(k, o, json, jpg) for o, (k, json, jpg) in zip(offsets, SAMPLES, strict=True)]
    assert list(read_shard(tmp_path / "s.tar")) == expected
    with (tmp_path / "s.tar").open("rb") as file:
        assert [read_sample(file, "s.tar", offset) for offset in reversed(offsets)] == expected[::-1]
        assert read_record(file, "s.tar", offsets[2]) == ("b_3", b"x" * 512, 1024)
        assert read_record(file, "s.tar", offsets[1]) == ("a-2", b'{"n":2}', 0)


def test_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    """At a block boundary too, where other readers see a short but whole archive."""
    write(tmp_path / "s.tar")
    whole = (tmp_path / "s.tar").read_bytes()
    for size in [*range(0, len(whole), 512), 100, len(whole) - 1]:
        (tmp_path / "cut.tar").write_bytes(whole[:size])
        with pytest.raises(ShardError, match=r"early|cut off"):
            list(read_shard(tmp_path / "cut.tar"))


def test_every_flipped_byte_outside_the_members_is_refused(tmp_path: Path) -> None:
    offsets = write(tmp_path / "s.tar", SAMPLES[:1])
    whole = (tmp_path / "s.tar").read_bytes()
    assert offsets == [0]
    inside = {*range(512, 512 + len(SAMPLES[0][2])), *range(1536, 1536 + len(SAMPLES[0][1]))}
    for position in set(range(0, 2560, 3)) - inside | {len(whole) - 1}:
        damaged = bytearray(whole)
        damaged[position] ^= 1 << (position % 8)
        (tmp_path / "bad.tar").write_bytes(damaged)
        with pytest.raises(ShardError):
            list(read_shard(tmp_path / "bad.tar"))


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ([("a.json", b"{}"), ("a.json", b"{}")], "second sample 'a'"),
        ([("a.jpg", b"j"), ("b.json", b"{}"), ("a.json", b"{}")], "a.jpg is followed by b.json; expected a.json"),
        ([("a.jpg", b"j")], "followed by the end"),
        ([("a.json", b"{}"), ("a.jpg", b"j")], "second sample 'a'"),
        ([("a.txt", b"t")], "expected KEY.jpg and KEY.json"),
        ([("x/a.json", b"{}")], "expected KEY.jpg and KEY.json"),
        ([("a.b.json", b"{}")], "expected KEY.jpg and KEY.json"),
    ],
)
def test_other_archives_are_refused(tmp_path: Path, members: list[tuple[str, bytes]], sentence: str) -> None:
    (tmp_path / "s.tar").write_bytes(by_tarfile(members))
    with pytest.raises(ShardError, match=sentence):
        list(read_shard(tmp_path / "s.tar"))


def test_keys_that_do_not_fit_or_come_twice_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    for samples in ([("k" * 96, b"{}", b"")], [("a", b"{}", b""), ("a", b"{}", b"")], []):
        with pytest.raises(CotgenError):
            write(tmp_path / "s.tar", samples)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folder_gives_a_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(CotgenError, match="choose a folder that you may write to"):
        write(tmp_path / "s.tar")


def test_a_file_where_a_folder_is_needed_gives_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(CotgenError, match="a file stands where a folder is needed"):
        write(tmp_path / "data" / "s.tar")
