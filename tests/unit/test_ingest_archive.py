"""Archives from strangers: each trick is tried on the guarded opener, some on one that must fall."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
from deliveries import AHSI, VNIC, WFV, deliver, pack

from stsfusion.ingest.archive import archive_stem, unpack, unpacked
from stsfusion.ingest.limits import Limits
from stsfusion.ingest.refusal import DeliveryError


def entry(name, kind=tarfile.REGTYPE, data=b"x", link="", **more):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    info.size = len(data) if kind == tarfile.REGTYPE else 0
    for key, value in more.items():
        setattr(info, key, value)
    return info, data


def tar(*entries, form=tarfile.PAX_FORMAT):
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=form) as archive:
        for info, data in entries:
            archive.addfile(info, io.BytesIO(data))
    return held.getvalue()


def zipped(*entries, method=zipfile.ZIP_DEFLATED):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", method) as archive:
        for name, data, mode in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, data, method)
    return held.getvalue()


def header(kind=b"0", name=b"a.xml", size=b"00000000001"):
    """A header block with a right sum, whatever else it says."""
    block = bytearray(512)
    block[: len(name)] = name
    block[124 : 124 + len(size)] = size
    block[156:157], block[257:265] = kind, b"ustar\x0000"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


END = bytes(1024)
GOOD = tar(entry("a.xml"), entry("b/c.tif", data=bytes(2000)))


def chained():
    """Folders behind links behind links, until a path is longer than the system resolves."""
    entries = []
    inner = "d" * 200
    for step in range(16):
        place = "/".join(letter for letter in "abcdefghijklmnop"[:step])
        entries.append(entry(f"{place}/{inner}".lstrip("/"), tarfile.DIRTYPE))
        entries.append(entry(f"{place}/{'abcdefghijklmnop'[step]}".lstrip("/"), tarfile.SYMTYPE, link=inner))
    entries.append(entry("/".join("abcdefghijklmnop") + "/" + "l" * 200, tarfile.SYMTYPE, link="../" * 16))
    return tar(*entries)


def swapped(data, old, new):
    assert old in data
    return data.replace(old, new)


TARS = {
    "up": tar(entry("../evil.xml")),
    "up from within": tar(entry("a/../../evil.xml")),
    "absolute": tar(entry("/evil.xml")),
    "absolute by POSIX header": tar(entry("/" + "n" * 150 + "/evil.xml")),
    "up by POSIX header": tar(entry("x/" + "n" * 150 + "/../../../evil.xml")),
    "up by GNU header": tar(entry("x/" + "n" * 150 + "/../../../evil.xml"), form=tarfile.GNU_FORMAT),
    "drive": tar(entry("C:evil.xml")),
    "address": tar(entry("http://evil.xml")),
    "backslash": tar(entry("..\\evil.xml")),
    "line feed": tar(entry("a\nb.xml")),
    "turned letters": tar(entry("a\u202elmx.xml")),
    "symbolic link": tar(entry("l.xml", tarfile.SYMTYPE, link="/etc/hostname")),
    "symbolic link inside": tar(entry("a.xml"), entry("l.xml", tarfile.SYMTYPE, link="a.xml")),
    "file through a link": tar(entry("l", tarfile.SYMTYPE, link=".."), entry("l/evil.xml")),
    "hard link": tar(entry("l.xml", tarfile.LNKTYPE, link="/etc/hostname")),
    "hard link inside": tar(entry("a.xml"), entry("l.xml", tarfile.LNKTYPE, link="a.xml")),
    "links until PATH_MAX": chained(),
    "character device": tar(entry("null.xml", tarfile.CHRTYPE, devmajor=1, devminor=3)),
    "block device": tar(entry("disk.xml", tarfile.BLKTYPE, devmajor=8)),
    "pipe": tar(entry("pipe.xml", tarfile.FIFOTYPE)),
    "sparse": header(b"S") + bytes(512) + END,
    "unknown kind": header(b"Q") + bytes(512) + END,
    "twice": tar(entry("a.xml"), entry("a.xml", data=b"other")),
    "twice but for case": tar(entry("a.xml"), entry("A.XML")),
    "twice but for spelling": tar(entry("\u00e9.xml"), entry("e\u0301.xml")),
    "file as folder": tar(entry("a.xml"), entry("a.xml/b.xml")),
    "folder as file": tar(entry("a.xml/b.xml"), entry("a.xml")),
    "name of 300 bytes": tar(entry("n" * 300 + ".xml")),
    "path of 2000 bytes": tar(entry("/".join(["n" * 99] * 20) + ".xml")),
    "65 members": tar(*(entry(f"{i}.xml") for i in range(65))),
    "size of 8 GiB": header(size=b"77777777777") + bytes(512) + END,
    "size below zero": header(size=b"\xff" * 11) + bytes(512) + END,
    "size of 2^80": header(size=b"\x80\x01" + bytes(10)) + bytes(512) + END,
    "size in letters": header(size=b"0000000zz00") + bytes(512) + END,
    "size said by POSIX header": tar(entry("a.xml", pax_headers={"size": "9999"})),
    "sparse by POSIX header": tar(entry("a.xml", pax_headers={"GNU.sparse.major": "1"})),
    "broken POSIX header": swapped(tar(entry("a.xml", pax_headers={"k": "v"})), b"6 k=v\n", b"9 k=v\n"),
    "long name of 1 GiB": header(b"L", b"././@LongLink", b"10000000000") + bytes(512) + END,
    "wrong sum": b"X" + GOOD[1:],
    "no end": GOOD[: GOOD.rstrip(b"\0").__len__() + 1024],
    "one block of zeros": GOOD[:512] + bytes(512) + bytes(512) + b"more" + bytes(508),
    "hidden behind the end": GOOD + b"hidden",
    "nothing": END,
    "folder with data": header(b"5") + bytes(512) + END,
    "no tar": b"hello, world" * 100,
    "empty": b"",
}  # fmt: skip

PLAIN = stat.S_IFREG | 0o644
ZIPS = {
    "up": zipped(("../evil.xml", b"x", PLAIN)),
    "absolute": zipped(("/evil.xml", b"x", PLAIN)),
    "backslash": swapped(zipped(("..!evil.xml", b"x", PLAIN)), b"..!evil.xml", b"..\\evil.xml"),
    "hidden end": swapped(zipped(("a.xml!evil", b"x", PLAIN)), b"a.xml!evil", b"a.xml\0evil"),
    "link": zipped(("l.xml", b"/etc/hostname", stat.S_IFLNK | 0o777)),
    "device": zipped(("l.xml", b"", stat.S_IFCHR | 0o777)),
    "twice but for case": zipped(("a.xml", b"x", PLAIN), ("A.xml", b"x", PLAIN)),
    "odd packing": zipped(("a.xml", b"x" * 100, PLAIN), method=zipfile.ZIP_BZIP2),
    "65 members": zipped(*((f"{i}.xml", b"x", PLAIN) for i in range(65))),
    "100000 members": zipped(*((f"{i}.xml", b"", PLAIN) for i in range(100_000))),
    "bomb": zipped(("a.xml", bytes(2**25), PLAIN)),
    "wrong sum": swapped(zipped(("a.xml", b"hello", PLAIN), method=0), b"hello", b"hullo"),
    "no directory": b"PK\3\4" + bytes(200),
    "fewer than said": (lambda d: d[:-14] + b"\2\0\2\0" + d[-10:-12 or None] + d[-10:])(
        zipped(("a.xml", b"x", PLAIN))
    ),
}  # fmt: skip

BOMB = gzip.compress(tar(entry("a.tif", data=bytes(2**26))), 9)
PACKED = (
    "up",
    "symbolic link",
    "twice",
    "65 members",
    "hidden behind the end",
    "no tar",
    "long name of 1 GiB",
)
CASES = {
    **{f"tar: {name}": (".tar", data) for name, data in TARS.items()},
    **{f"gz: {name}": (".tar.gz", gzip.compress(TARS[name])) for name in PACKED},
    **{f"zip: {name}": (".zip", data) for name, data in ZIPS.items()},
    "gz: bomb": (".tar.gz", BOMB),
    "xz: bomb": (".tar.xz", lzma.compress(tar(entry("a.tif", data=bytes(2**26))))),
    "gz: a million members": (".tar.gz", gzip.compress(header(size=b"0") * 1_000_000 + END, 1)),
    "gz: zeros without end": (".tar.gz", gzip.compress(bytes(2**26), 9)),
    "gz: wrong sum": (".tar.gz", (lambda d: d[:-8] + b"\1\2\3\4" + d[-4:])(gzip.compress(GOOD))),
    "gz: something behind": (".tar.gz", gzip.compress(GOOD) + b"something"),
    "xz: something behind": (".tar.xz", lzma.compress(GOOD) + b"something"),
    **{
        f"gz: cut at {share:.0%}": (".tar.gz", (lambda d, s=share: d[: int(len(d) * s)])(gzip.compress(GOOD)))
        for share in [i / 20 for i in range(20)]
    },
    **{
        f"tar: cut at {share:.0%}": (".tar", GOOD[: int(len(GOOD) * share)])
        for share in (0.05, 0.2, 0.27, 0.3)
    },
    **{
        f"zip: cut at {share:.0%}": (".zip", (lambda d, s=share: d[: int(len(d) * s)])(ZIPS["up"]))
        for share in (0.1, 0.5, 0.9, 0.99)
    },
}  # fmt: skip


def snapshot(folder):
    """Every path below a folder with its bytes; links are not followed."""
    found = {}
    for place, folders, files in os.walk(folder):
        for name in folders + files:
            path = Path(place, name)
            plain = stat.S_ISREG(path.lstat().st_mode)
            found[str(path.relative_to(folder))] = path.read_bytes() if plain else path.lstat().st_mode
    return found


def judge(opener, archive, target):
    """'' when the opener refuses as it must, else what is wrong with how it ended."""
    world = target.parent
    before = snapshot(world)
    try:
        opener(archive, target)
        said = "it opened the archive"
    except DeliveryError as refusal:
        said = (
            "" if str(archive) in str(refusal) and refusal.got else "the refusal names no file, or no reason"
        )
    except Exception as error:  # whatever an unguarded opener meets
        said = f"it broke with {type(error).__name__}"
    after = snapshot(world)
    target_name = target.name
    if set(after) - set(before) - {target_name}:
        said += ", something is left behind"
    if {k: v for k, v in after.items() if k in before} != before:
        said += ", something was changed"
    return said


def evil(tmp_path, name):
    suffix, data = CASES[name]
    (tmp_path / "canary.xml").write_bytes(b"sings")
    archive = tmp_path / f"delivery{suffix}"
    archive.write_bytes(data)
    return archive


@pytest.mark.parametrize("name", CASES)
def test_tricks_are_refused_and_leave_nothing(tmp_path, name):
    assert judge(unpack, evil(tmp_path, name), tmp_path / "in") == ""


def trusting(path, folder):
    """An opener without guards: what the library's own extraction does."""
    home = folder / "new"
    home.mkdir(parents=True)
    if path.suffix == ".zip":
        zipfile.ZipFile(path).extractall(home)
    else:
        with tarfile.open(path) as archive:
            archive.extractall(home, filter="fully_trusted")


@pytest.mark.parametrize(
    "name",
    ["tar: up", "tar: symbolic link", "tar: hard link inside", "tar: twice", "gz: 65 members", "gz: bomb",
     "gz: cut at 75%", "zip: bomb", "zip: up", "tar: pipe", "tar: file through a link"],
)  # fmt: skip
def test_an_opener_without_guards_falls(tmp_path, name):
    assert judge(trusting, evil(tmp_path, name), tmp_path / "in") != ""


def test_there_are_enough_tricks(capsys):
    with capsys.disabled():
        print(f"\narchives: {len(CASES)} tricks tried, each on an opener that unpacks honest ones")
    assert len(CASES) >= 100


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tgz", "tar.xz", "zip"])
@pytest.mark.parametrize("nested", [True, False])
def test_honest_archives_come_out_as_they_went_in(tmp_path, kind, nested):
    home = deliver(WFV, tmp_path)
    out = unpack(pack(home, kind, nested, tmp_path / "p"), tmp_path / "out")
    inner = out / home.name if nested else out
    assert out.name == home.name
    assert snapshot(inner) == snapshot(home)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_form_of_tar_is_read(tmp_path, form):
    names = ["产品/a.xml", "x/" + "n" * 80 + "/" + "m" * 90 + ".xml", "./b.xml"]
    path = tmp_path / "a.tar"
    path.write_bytes(
        tar(entry("产品", tarfile.DIRTYPE), *(entry(n, data=n.encode()) for n in names), form=form)
    )
    out = unpack(path, tmp_path / "out")
    assert all((out / name).read_text() == name for name in names)


def test_names_in_the_old_chinese_encoding(tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(header(name="产品/a.xml".encode("gbk")) + b"x" + bytes(511) + END)
    assert (unpack(path, tmp_path / "out") / "产品" / "a.xml").read_bytes() == b"x"


def test_what_no_product_is_made_of_is_not_written(tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(tar(entry("a.xml"), entry("run.py"), entry("a.tif.aux.xml"), entry("lib.so")))
    assert sorted(snapshot(unpack(path, tmp_path / "out"))) == ["a.tif.aux.xml", "a.xml"]


def test_limits_are_limits(tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(tar(entry("a.tif", data=bytes(10_000))))
    unpack(path, tmp_path / "one", Limits(total=30_000))
    with pytest.raises(DeliveryError, match="at most 5000 bytes unpacked"):
        unpack(path, tmp_path / "two", Limits(total=5000))


def test_nothing_is_overwritten(tmp_path):
    archive = pack(deliver(WFV, tmp_path), folder=tmp_path / "p")
    with pytest.raises(DeliveryError, match="nothing there yet"):
        unpack(archive, tmp_path)


def test_a_look_inside_leaves_nothing(tmp_path):
    archive = pack(deliver(VNIC, tmp_path), folder=tmp_path / "p")
    with unpacked(archive, tmp_path / "look") as home:
        assert (home / home.name).is_dir()
    with pytest.raises(ZeroDivisionError), unpacked(archive, tmp_path / "look"):
        raise ZeroDivisionError
    assert snapshot(tmp_path / "look") == {}


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, monkeypatch):
    archive = pack(deliver(AHSI, tmp_path), folder=tmp_path / "p")
    monkeypatch.setattr(
        os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(DeliveryError, match="No space left"):
        unpack(archive, tmp_path / "out")
    assert snapshot(tmp_path / "out") == {}


@pytest.mark.parametrize("what", ["link", "folder", "missing", "pipe"])
def test_only_an_ordinary_file_is_an_archive(tmp_path, what):
    archive, path = pack(deliver(WFV, tmp_path), folder=tmp_path / "p"), tmp_path / "x.tar.gz"
    {"link": lambda: path.symlink_to(archive), "folder": path.mkdir, "pipe": lambda: os.mkfifo(path)}.get(
        what, lambda: None
    )()
    with pytest.raises(DeliveryError, match=r"x\.tar\.gz"):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "stem"), [("a.tar.gz", "a"), ("A.TGZ", "A"), ("b.1.zip", "b.1"), ("c.tif", None), ("tar", None)]
)
def test_archives_are_known_by_name(name, stem):
    assert archive_stem(name) == stem


def test_the_measure_of_left_overs_sees_them(tmp_path):
    def leaving(path, folder):
        shutil.copy(path, folder.parent / "left.xml")
        raise DeliveryError(f"archive {path}", got="reason")

    assert "left behind" in judge(leaving, evil(tmp_path, "tar: up"), tmp_path / "in")
