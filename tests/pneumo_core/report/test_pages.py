from pneumo_core.report.pages import _cell_html, _inline_html, _inline_markdown


def test_a_cell_breaks_between_figure_and_interval_only() -> None:
    assert _cell_html("97.4% (95.1%\u201398.6%)") == (
        '<span class="whole">97.4%</span> <span class="interval">(95.1%\u201398.6%)</span>'
    )
    assert _cell_html("12") == '<span class="whole">12</span>'


def test_marks_become_elements_and_the_rest_is_text() -> None:
    assert _inline_html("**a** `b` <c>") == ("<strong>a</strong> <code>b</code> &lt;c&gt;")


def test_markdown_escapes_what_is_special_but_not_in_code() -> None:
    assert _inline_markdown("a | [b]\n`c|d`") == "a \\| \\[b\\] `c|d`"
