"""The report: one page, complete in itself, honest about what it shows and safe with what it is given."""

import ast
import os
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from stsfusion.errors import StoreError
from stsfusion.pipeline.headline import headline
from stsfusion.pipeline.report import Input, MethodCard, Phase, Picture, Report, Stored, render, write_report
from stsfusion.pipeline.scoreboard import board, costs, flat, pivot
from stsfusion.pipeline.template import write_page
from stsfusion.views.palette import png, sheet

VOID = {"meta", "input", "img", "br", "hr", "link"}
EVIL = "<script>alert('x')</script><img src=http://evil.example/x onerror=alert(1)>\"'"


class Reader(HTMLParser):
    """Checks that tags nest, and collects what a browser would run or load."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.faults, self.outside, self.tags = [], [], [], []
        self.tables_alone, self.chips, self.words = 0, [0], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        facts = dict(attributes)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "section":
            self.chips.append(0)
        if facts.get("class") == "chip":
            self.chips[-1] += 1
        if tag == "table":
            self.tables_alone += self.chips[-1] == 0
        for name, value in facts.items():
            inside = (name == "src" and value.startswith("data:image/png;base64,")) or (
                name == "href" and value.startswith("#")
            )
            if (name in ("src", "href", "action", "srcset") and not inside) or name.startswith("on"):
                self.outside.append((tag, name, value))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data):
        self.words.append(data)


def read(page):
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader


def row(method, subset, sam, **more):
    return {
        "method": method, "subset": subset, "cc": 1 - sam / 100, "sam": sam, "psnr": 40 - sam, "ssim": 0.9,
        "rmse": sam / 500, "ergas": sam, "fit_s": 1.5, "fuse_s": 2.0, "peak_mb": 300.0, **more,
    }  # fmt: skip


SCORES = [
    row("lineartime", "all", 3.0),
    row("stsnet", "all", 2.0, fit_s=280.0),
    row("lineartime", "missing", 4.31),
    row("stsnet", "missing", 2.12, ssim=0.8, fit_s=280.0),
]
DATES = ["2021-12-13", "2022-01-20", "2022-02-25"]
PER_DATE = [
    {"time": f"{date}T02:00:00", "date": i, **row(method, "missing" if i == 1 else "observed", 2.0 + i)}
    for i, date in enumerate(DATES)
    for method in ("lineartime", "stsnet")
]


def picture(section="Quick looks", wide=True):
    return Picture(section, "True colour", "One stretch.", png(sheet(1, 1)), wide)


@pytest.fixture
def facts():
    return Report(
        title="Demo",
        simulated=True,
        method="stsnet",
        recipe_text="fuse:\n  method: stsnet\n",
        inputs=[Input("rich", "zy1-02d-ahsi", "4 dates", "ab12")],
        versions={"stsfusion": "0.1.0"},
        hashes={"recipe": "cd34"},
        methods=[MethodCard("stsnet", "the network", "10.1000/1", "width=48")],
        scores=SCORES,
        per_date=PER_DATE,
        without_truth=[
            {"role": "rich", "time": DATES[0], "sam": 0.7, "rmse": 0.004, "noise": 0.002, "valid": 1.0}
        ],
        phases=[Phase("fit", 281.0, 1430.0, "40 epochs"), Phase("fuse", 14.2)],
        figures=[picture(), picture("Spectra", wide=False)],
        stores=[Stored("The fused series", "demo-out/fused.zarr")],
        tiles={"done": "9 of 9"},
    )


def test_the_page_is_well_formed_and_loads_nothing(facts):
    page = render(facts)
    reader = read(page)
    assert not reader.faults
    assert not reader.open
    assert not reader.outside
    assert "script" not in reader.tags
    assert not re.search(r"(?i)\burl\(|@import|https?://", page)
    assert reader.tags.count("img") == 4, "two pictures and two curves"


def test_a_link_that_slipped_in_would_be_seen(facts):
    page = render(facts).replace("</body>", '<img src="https://a.example/x.png"><p></body>')
    reader = read(page)
    assert reader.outside == [("img", "src", "https://a.example/x.png")]
    assert reader.faults


def test_everything_is_on_the_page(facts):
    words = " ".join("".join(read(render(facts)).words).split())
    for part in (
        "Where the data is", "Quick looks", "Spectra", "Scores by date", "Scores without truth",
        "How the run went",
        "What was run", "Glossary", "method: stsnet", "zy1-02d-ahsi", "4 dates", "ab12", "cd34", "0.1.0",
        "width=48",
        "4 min 41 s", "1.40 GiB", "9 of 9", "4.31", "2.12", "SAM ↓", "PSNR ↑",
        "Dates that the hyperspectral sensor missed", "2022-01-20", "missed", "0.0020",
        "Peak is the truth's maximum of that band and date",
    ):  # fmt: skip
        assert part in words, part


def test_simulated_data_is_called_so_beside_every_table(facts):
    reader = read(render(facts))
    assert reader.chips[0] == 1, "in the header"
    assert reader.tables_alone == 0
    honest = read(render(replace(facts, simulated=False)))
    assert sum(honest.chips) == 0
    assert honest.tables_alone == honest.tags.count("table")
    assert "imulated" not in "".join(honest.words)


def test_every_text_is_escaped(facts):
    scores = [row(EVIL, "all", 2.0), row("stsnet", EVIL, 2.0, error=EVIL)]
    bad = Report(
        title=EVIL, simulated=True, method=EVIL, words=EVIL, made=EVIL, recipe_text=EVIL,
        inputs=[Input(EVIL, EVIL, EVIL, EVIL)], versions={EVIL: EVIL}, hashes={EVIL: EVIL},
        methods=[MethodCard(EVIL, EVIL, EVIL, EVIL, EVIL)], scores=scores,
        per_date=[{"date": EVIL, **scores[0]}], without_truth=[{"role": EVIL, "date": EVIL, "sam": 1.0}],
        phases=[Phase(EVIL, 1.0, 1.0, EVIL)],
        figures=[replace(picture(), section=EVIL, title=EVIL, caption=EVIL)],
        stores=[Stored(EVIL, EVIL, EVIL)], tiles={EVIL: EVIL},
    )  # fmt: skip
    page = render(bad)
    reader = read(page)
    assert "<script" not in page
    assert "<img src=http" not in page
    assert not reader.outside
    assert not reader.faults
    assert "".join(reader.words).count("<script>alert('x')</script>") > 20, "shown as text"


def test_a_report_of_nothing_is_still_a_page(facts):
    reader = read(render(Report(title="Empty", simulated=False)))
    assert not reader.faults
    assert "Empty" in "".join(reader.words)


def test_best_values_are_marked_within_their_group():
    table = board(SCORES)
    assert [column.key for column in table.columns] == ["cc", "sam", "psnr", "ssim", "rmse", "ergas"]
    assert [column.arrow for column in table.columns] == ["↑", "↓", "↑", "↑", "↓", "↓"]
    linear, network = table.groups[1].lines
    assert [cell.best for cell in network.cells] == [True, True, True, False, True, True]
    assert [cell.best for cell in linear.cells] == [False, False, False, True, False, False]
    assert [cell.text for cell in network.cells] == ["0.9788", "2.12", "37.88", "0.8000", "0.0042", "2.1200"]
    tied = table.groups[0].lines
    assert all(line.cells[3].best for line in tied), "what looks equal is equally good"


def test_one_method_alone_is_best_of_nothing_and_gaps_are_dashes():
    table = board([row("stsnet", "all", 2.0, cc=None, psnr=float("nan"))])
    (line,) = table.groups[0].lines
    assert not any(cell.best for cell in line.cells)
    assert [cell.text for cell in line.cells[:3]] == ["–", "2.00", "–"]


def test_a_method_that_failed_stays_in_the_table(facts):
    nothing = dict.fromkeys(row("x", "all", 1.0))
    failed = {**nothing, "method": "gsa", "subset": "all", "error": "needs 'sharp'"}
    table = board([*SCORES, failed])
    assert table.groups[0].lines[-1].note == "needs 'sharp'"
    assert "needs 'sharp'" in "".join(read(render(replace(facts, scores=[*SCORES, failed]))).words)


def test_what_is_told_beside_is_left_out_where_nobody_says_it():
    def labels(*shares):
        rows = [row("stsnet", "all", 2.0, coverage90=share) for share in shares]
        return [column.label for column in board(rows).columns]

    assert "in 90 %" not in labels(None, float("nan"))
    assert "in 90 %" in labels(None, 0.88)


def test_costs_are_told_once_a_method():
    table = costs(SCORES)
    assert [line.heads[0] for line in table.groups[0].lines] == ["lineartime", "stsnet"]
    assert [cell.text for cell in table.groups[0].lines[1].cells] == ["280.0", "2.0", "300"]
    assert costs([{"method": "a", "subset": "all", "sam": 1.0}]) is None


def test_costs_of_questions_of_their_own_stand_apart(facts):
    asked = [
        row(method, subset, 2.0, fit_s=fit)
        for method, fits in (("chain", (7.0, 7.0, 9.0)), ("gsa", (1.0, 1.0, 3.0)))
        for subset, fit in zip(("coarser", "coarser/vnir", "hidden"), fits, strict=True)
    ]
    groups = costs(asked).groups
    assert [group.title.partition(",")[0] for group in groups] == ["One scale coarser", "The same"]
    assert [[line.cells[0].text for line in group.lines] for group in groups] == [
        ["7.0", "1.0"],
        ["9.0", "3.0"],
    ]
    assert "one scale coarser; of dates that were hidden" in render(replace(facts, scores=asked))


def test_the_page_says_whose_seconds_the_costs_are(facts):
    own = "stsnet: learning from the input and fusing all tiles of the published series."
    others = "The others: each in a process of its own, on the window in which all are compared."
    assert f"{own} {others}" in render(facts)
    alone = render(replace(facts, scores=[each for each in SCORES if each["method"] == "stsnet"]))
    assert own in alone
    assert others not in alone


def test_dates_stand_against_methods_for_all_four_measures(facts):
    page = render(facts)
    names = ("correlation coefficient", "spectral angle (degree)", "peak signal-to-noise ratio (dB)")
    for name in (*names, "structural similarity"):
        assert f'aria-label="{name[:1].upper()}{name[1:]}"' in page


def test_dates_by_methods():
    table = pivot(PER_DATE, "sam")
    assert [column.label for column in table.columns] == ["lineartime", "stsnet"]
    assert [line.heads for line in table.groups[0].lines] == [
        ("2021-12-13", "observed"),
        ("2022-01-20", "missed"),
        ("2022-02-25", "observed"),
    ]
    assert pivot(PER_DATE, "uiqi") is None
    assert flat(PER_DATE).heads == ("date", "method", "subset")


def test_the_headline_says_how_it_did_where_it_is_hardest():
    first, second = headline(SCORES, "stsnet", simulated=True)
    assert first == (
        "stsnet, on the dates no hyperspectral sensor saw: SAM 2.12° and PSNR 37.88 dB, "
        "against SAM 4.31° and PSNR 35.69 dB for linear interpolation (simulated scene)."
    )
    assert (
        second
        == "Of 2 methods it is the best in 5 of 6 measures there. Others are better in SSIM (lineartime)."
    )


def test_a_defeat_is_told_like_a_victory():
    worse = [row("lineartime", "missing", 1.0), row("stsnet", "missing", 5.0)]
    first, second = headline(worse, "stsnet", simulated=False)
    assert "SAM 5.00°" in first
    assert "SAM 1.00°" in first
    assert "simulated" not in first
    assert "best in 1 of 6" in second, "SSIM is a tie"
    assert "SAM (lineartime)" in second


def test_without_rivals_or_scores_the_headline_claims_nothing():
    assert headline([], "stsnet", simulated=True) == ()
    assert headline(SCORES, "unheard", simulated=True) == ()
    (only,) = headline([row("stsnet", "all", 2.0)], "stsnet", simulated=False)
    assert only == "stsnet: SAM 2.00° and PSNR 38.00 dB over all dates."


def test_the_three_lines_are_python_whatever_the_path():
    stored = Stored("x", 'odd "name"\\\n.zarr', "rich")
    lines = stored.python
    assert lines.count("\n") == 2
    call = ast.parse(lines).body[1].value
    assert call.args[0].value == stored.path
    assert call.keywords[0].value.value == "rich"


def test_writing_is_all_or_nothing(tmp_path, facts):
    path = write_report(tmp_path / "report.html", facts)
    before = path.read_bytes()
    assert before.decode() == render(facts)
    with pytest.raises(StoreError, match="PNG"):
        write_report(path, replace(facts, figures=[replace(picture(), png=b"GIF89a")]))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(StoreError, match="existing folder"):
        write_report(tmp_path / "no" / "report.html", facts)


def test_what_a_writer_left_who_died_is_written_over(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    with monkeypatch.context() as dying:
        dying.setattr(os, "getpid", lambda: 1)
        dying.setattr(Path, "unlink", lambda *_, **__: None)
        dying.setattr(os, "replace", lambda *_: sys.exit(137))
        with pytest.raises(SystemExit):
            write_page(path, "first")
    assert [each.name for each in tmp_path.iterdir()] != []
    write_page(path, "second")
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]
    assert path.read_text() == "second"
