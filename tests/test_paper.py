"""The paper's numbers and parts, the verdicts on ours, and the parts that the book covers."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from mfmgdm_lib.companion import paper
from mfmgdm_lib.companion.paper import OurNumber


@pytest.mark.parametrize("table", [paper.numbers, paper.contents], ids=["numbers", "contents"])
def test_keys_are_unique_and_fit_an_anchor(table: object) -> None:
    keys = table()["key"]  # type: ignore[operator]
    assert keys.is_unique
    assert all(re.fullmatch(r"[a-z0-9-]+", key) for key in keys)


def test_table_1_has_its_40_numbers() -> None:
    numbers = paper.numbers().set_index("key")
    table = numbers[numbers.index.str.startswith("table1-")]
    assert len(table) == 40
    assert (table["unit"] == "nats").all()
    first_row = [numbers.loc[f"table1-ar01-acf-{model}", "value"] for model in ("mgdm", "mf")]
    assert first_row == ["2.76", "0.09"]


def test_every_number_is_one() -> None:
    for printed in paper.numbers()["value"]:
        assert float(printed) == float(printed)


def test_contents_cover_every_kind_of_part() -> None:
    kinds = paper.contents()["kind"].value_counts()
    assert set(kinds.index) >= {"section", "figure", "table", "equation"}
    labels = set(paper.contents()["label"])
    assert labels >= {f"Eq. ({n})" for n in range(1, 7)} | {"Table 1", "Figure 2", "Figure 6"}


def test_tables_are_copies_that_can_be_changed() -> None:
    table = paper.numbers()
    table.loc[0, "value"] = "wrong"
    assert paper.numbers().loc[0, "value"] != "wrong"


@pytest.mark.parametrize(
    ("printed", "ours", "expected"),
    [
        ("2.76", None, "not run yet"),
        ("2.76", OurNumber(2.7622), "same digits"),
        ("2.76", OurNumber(2.7649, 0.001), "same digits"),
        ("2.76", OurNumber(2.766), "differs"),
        ("2.76", OurNumber(2.766, 0.0, own_error=0.01), "within our error"),
        ("2.76", OurNumber(2.7849, 0.1, own_error=0.01), "within our error"),  # 0.02 away, and half a unit of print
        ("2.76", OurNumber(2.7851, 0.1, own_error=0.01), "small gap"),
        ("2.76", OurNumber(2.766, 0.1), "small gap"),  # the error of the paths does not make it agree
        ("2.76", OurNumber(2.9649, 0.1), "small gap"),
        ("2.76", OurNumber(2.9651, 0.1), "differs"),
        ("2.76", OurNumber(2.5549, 0.1), "differs"),
        ("-0.1", OurNumber(-0.12), "same digits"),
        ("36", OurNumber(36.0), "same digits"),
        ("36", OurNumber(37.0), "differs"),
        ("0.10", OurNumber(0.1), "same digits"),
    ],
)
def test_verdict_weighs_digits_and_errors_of_determinants(printed: str, ours: OurNumber | None, expected: str) -> None:
    assert paper.verdict(printed, ours) == expected


def test_comparison_has_a_row_for_every_number_of_the_paper() -> None:
    numbers = {
        "table1-ar01-acf-mgdm": OurNumber(2.76221, 0.0912, page="notebooks/01_ar_illustration", anchor="best"),
        "table1-ar01-acf-mf": OurNumber(0.19, 0.09, own_error=0.06, is_bound=True),
        "figure-1-best": OurNumber(36.0),
    }
    table = paper.compare(numbers)
    assert len(table) == len(paper.numbers())
    assert (table["verdict"] == "not run yet").sum() == len(table) - 3
    columns = ["paper", "here", "difference", "± paths", "± determinants", "address"]
    first = ["2.76\u00a0nats", "2.762", "−0.002", "0.091", "exact", "notebooks/01_ar_illustration.html#best"]
    assert table.loc["table1-ar01-acf-mgdm", columns].tolist() == first
    bound = ["0.09\u00a0nats", "≥ 0.190", "−0.100", "0.090", "0.060", ""]
    assert table.loc["table1-ar01-acf-mf", columns].tolist() == bound
    assert table.loc["figure-1-best", columns].tolist() == ["36\u00a0steps", "36", "0", "", "", ""]


def test_settings_of_the_paper_are_not_counted_as_its_results() -> None:
    kinds = paper.numbers().set_index("key")["kind"]
    assert set(kinds) == {"result", "setting"}
    assert kinds["figure-1-variance"] == "setting" and (kinds.filter(like="years") == "setting").all()
    assert (kinds.filter(like="table1-") == "result").all() and kinds["figure-1-best"] == "result"


def test_verdicts_are_counted_from_the_strictest_on_and_explained() -> None:
    words = ["differs", "same digits", "differs"]
    assert list(paper.count_verdicts(words).items()) == [("same digits", 1), ("differs", 2)]
    table = paper.explain_verdicts(words)
    assert table["numbers"].tolist() == ["1", "2"] and table["meaning"].tolist()[1] == paper.VERDICTS["differs"]


def test_comparison_refuses_a_number_that_the_paper_does_not_state() -> None:
    with pytest.raises(ValueError, match=r"'table-9'.*expected keys of paper\.numbers\(\)"):
        paper.compare({"table-9": OurNumber(1.0)})


@pytest.fixture
def book(tmp_path: Path) -> Path:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "book").mkdir()
    (tmp_path / "notebooks" / "01_first.md").write_text(
        "# First steps\n\n(paper-eq-3)=\n## Descent\n", encoding="utf-8"
    )
    (tmp_path / "book" / "untitled.md").write_text("(paper-section-2)=\nno title, and (paper-eq-1)= inline\n")
    return tmp_path


def test_coverage_finds_the_page_that_answers_each_part(book: Path) -> None:
    parts = paper.coverage(book).set_index("key")
    assert list(parts.index) == list(paper.contents()["key"])
    assert parts.loc["eq-3", ["page", "title"]].tolist() == ["notebooks/01_first", "First steps"]
    assert parts.loc["section-2", ["page", "title"]].tolist() == ["book/untitled", "untitled"]
    assert (parts.drop(["eq-3", "section-2"])[["page", "title"]] == "").all(axis=None)


def test_pages_are_the_sources_below_the_root_in_order(book: Path) -> None:
    assert [path.relative_to(book).as_posix() for path in paper.pages(book)] == [
        "book/untitled.md",
        "notebooks/01_first.md",
    ]


def test_coverage_refuses_two_pages_for_one_part(book: Path) -> None:
    (book / "book" / "again.md").write_text("(paper-eq-3)=\n")
    with pytest.raises(ValueError, match=r"paper-eq-3 is claimed by book/again and 01_first\.md; expected one page"):
        paper.coverage(book)


def test_coverage_refuses_a_part_that_the_paper_does_not_have(book: Path) -> None:
    (book / "book" / "again.md").write_text("(paper-eq-99)=\n")
    with pytest.raises(ValueError, match=r"'eq-99'.*expected keys of paper\.contents\(\)"):
        paper.coverage(book)


def test_every_link_to_a_number_leads_to_an_anchor_of_its_page() -> None:
    from mfmgdm_lib.companion import cells_html, compare_cells, our_numbers, stored_cells

    root, table_1 = Path(__file__).resolve().parent.parent, cells_html(compare_cells(stored_cells()))
    for key, ours in our_numbers().items():
        if ours.page is None:
            continue
        assert ours.anchor, f"{key} is linked to the top of a page"
        source = (root / f"{ours.page}.md").read_text(encoding="utf-8")
        assert f"\n({ours.anchor})=\n" in source or f'id="{ours.anchor}"' in table_1


def test_comparison_as_html_links_numbers_and_has_few_columns() -> None:
    numbers = {"table1-ar01-acf-mf": OurNumber(0.0896, 0.014, page="notebooks/08", anchor="there")}
    table = paper.compare(numbers).loc[["figure-1-best", "table1-ar01-acf-mf"]]
    first, second = paper.comparison_html(table).splitlines()[2:4]
    assert first.startswith("<tr><td>Section 3.1, Figure 1(b, c): step at which")
    assert '<a href="../notebooks/08.html#there">0.090</a>' in second and "<td>0.014; exact</td>" in second
    assert second.startswith("<tr><td>AR(0.1), ACF, MF–MGDM</td>") and second.count("<td>") == 6


def test_html_escapes_text_and_addresses_and_links_what_has_one() -> None:
    table = pd.DataFrame({"a<b": ["1 & 2", "<i>"], "to": ['x.html?"q"&r', ""]})
    assert paper.to_html(table, links={"a<b": "to"}) == (
        '<table class="table">\n'
        "<tr><th>a&lt;b</th></tr>\n"
        '<tr><td><a href="x.html?&quot;q&quot;&amp;r">1 &amp; 2</a></td></tr>\n'
        "<tr><td>&lt;i&gt;</td></tr>\n"
        "</table>"
    )


def test_html_without_links_shows_every_column() -> None:
    html = paper.to_html(pd.DataFrame({"a": ["1"], "b": ["2"]}))
    assert "<th>a</th><th>b</th>" in html and "<td>1</td><td>2</td>" in html
