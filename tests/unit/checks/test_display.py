"""Small pieces of HTML for cards."""

from __future__ import annotations

from lab_helpers.checks import display


def test_a_column_of_short_words_stays_on_one_line_and_a_long_one_may_break() -> None:
    html = display.table(("id", ""), [("<b>cg-01</b>", "a title that is longer than a word or two")])
    short, long = html.split("<td ")[1:]
    assert "nowrap" in short
    assert "nowrap" not in long
