"""XML from strangers: every attack ends in a refusal, quickly, in little memory, without a connection."""

from __future__ import annotations

import threading
import time
import tracemalloc
import xml.sax

import pytest
from listening import listener

from stsfusion.ingest.limits import Limits
from stsfusion.ingest.markup import read_markup
from stsfusion.ingest.refusal import DeliveryError

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
LAUGH = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
PORT = "@PORT@"

ATTACKS = {
    "billion laughs": f'{HEAD}<!DOCTYPE r [<!ENTITY l0 "ha">{LAUGH}]><r><a>&l9;</a></r>',
    "quadratic": f'{HEAD}<!DOCTYPE r [<!ENTITY l "{"ha" * 10_000}">]><r><a>{"&l;" * 1000}</a></r>',
    "entity from a file": f'{HEAD}<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]><r><a>&x;</a></r>',
    "entity from the net": f'{HEAD}<!DOCTYPE r [<!ENTITY x SYSTEM "http://127.0.0.1:{PORT}/">]><r>&x;</r>',
    "type from the net": f'{HEAD}<!DOCTYPE r SYSTEM "http://127.0.0.1:{PORT}/r.dtd"><r><a>1</a></r>',
    "type of its own": f"{HEAD}<!DOCTYPE r><r><a>1</a></r>",
    "parameter entity": f'{HEAD}<!DOCTYPE r [<!ENTITY % p SYSTEM "http://127.0.0.1:{PORT}/"> %p;]><r/>',
    "unknown entity": f"{HEAD}<r><a>&unknown;</a></r>",
    "text of 100 MB": f"{HEAD}<r><a>{'x' * 100_000_000}</a></r>",
    "a million elements": f"{HEAD}<r>{'<a/>' * 1_000_000}</r>",
    "deep": f"{HEAD}<r>{'<a>' * 10_000}{'</a>' * 10_000}</r>",
    "not what it says": (HEAD + "<r><a>产品</a></r>").encode("gbk"),
    "an encoding of its own": '<?xml version="1.0" encoding="utf-7"?><r><a>1</a></r>',
    "UTF-16": (HEAD + "<r><a>1</a></r>").encode("utf-16"),
    "inclusion of a file": f'{HEAD}<r><a xmlns:i="http://www.w3.org/2001/XInclude">'
    '<i:include href="file:///etc/hostname" parse="text"/></a></r>',
    "cut": f"{HEAD}<r><a>1</a>",
    "two roots": f"{HEAD}<r/><r/>",
    "zeros": f"{HEAD}<r><a>\0</a></r>",
    "empty": "",
    "no XML": "Level = LEVEL1A",
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_are_refused(tmp_path, name):
    text = ATTACKS[name]
    path = tmp_path / "product.xml"
    with listener() as (port, knocks):
        path.write_bytes(text if isinstance(text, bytes) else text.replace(PORT, str(port)).encode())
        tracemalloc.start()
        begun = time.process_time()
        with pytest.raises(DeliveryError, match=r"product\.xml") as refusal:
            read_markup(path)
        assert refusal.value.got
        assert time.process_time() - begun < 1
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 50e6
        assert knocks() == 0


def test_a_reader_without_guards_knocks(tmp_path):
    """The listener hears one who comes, and the reference reader does follow."""
    with listener() as (port, knocks):
        path = tmp_path / "product.xml"
        path.write_text(ATTACKS["entity from the net"].replace(PORT, str(port)))
        reader = xml.sax.make_parser()
        reader.setFeature(xml.sax.handler.feature_external_ges, True)
        server_gone = (xml.sax.SAXException, OSError)
        heard = []
        answering = threading.Thread(target=lambda: heard.append(_wait(knocks)))
        answering.start()
        with pytest.raises(server_gone):
            reader.parse(str(path))
        answering.join()
        assert heard == [1]


def _wait(knocks):
    for _ in range(250):
        if found := knocks():
            return found
    return 0


def read(tmp_path, text, **limits):
    path = tmp_path / "a.xml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_markup(path, Limits(**limits) if limits else None)


def test_texts_are_found_by_their_names(tmp_path):
    found = read(tmp_path, f"{HEAD}<P><Level> LEVEL1A </Level><A><B>1</B><B>2</B></A><E/><F>a&amp;b</F></P>")
    assert found.root == "P"
    assert found.get("ProductLevel", "Level") == "LEVEL1A"
    assert found.texts["A/B"] == ("1", "2")
    assert found.get("E") is None
    assert found.get("F") == "a&b"
    with pytest.raises(DeliveryError, match="A/B: expected one value, got 1, 2"):
        found.get("A/B")


@pytest.mark.parametrize("text", ["nan", "inf", "1e999", "12,5", "1_0", "x"])
def test_numbers_are_finite_numbers(tmp_path, text):
    found = read(tmp_path, f"<P><N>{text}</N><M> -1.5 </M></P>")
    assert found.number("M") == -1.5
    assert found.number("absent") is None
    with pytest.raises(DeliveryError, match="N: expected a number"):
        found.number("N")


@pytest.mark.parametrize("name", ["GBK", "gb2312", "GB18030"])
def test_chinese_encodings_are_read(tmp_path, name):
    text = f'<?xml version="1.0" encoding="{name}"?><P><A>产品</A></P>'
    assert read(tmp_path, text.encode("gb18030")).get("A") == "产品"


def test_a_byte_order_mark_and_namespaces_do_no_harm(tmp_path):
    assert read(tmp_path, "\ufeff" + HEAD + '<P xmlns="urn:x"><A>1</A></P>').get("A") == "1"


def test_limits(tmp_path):
    text = "<P><A><B>1</B></A></P>"
    read(tmp_path, text, elements=3, depth=3, markup=len(text))
    for limits in ({"elements": 2}, {"depth": 2}, {"markup": len(text) - 1}):
        with pytest.raises(DeliveryError, match="at most"):
            read(tmp_path, text, **limits)


def test_attacks_are_counted(capsys):
    with capsys.disabled():
        print(f"\nXML: {len(ATTACKS)} attacks tried")
    assert len(ATTACKS) >= 12
