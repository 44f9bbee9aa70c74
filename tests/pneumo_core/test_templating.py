import jinja2
import pytest

from pneumo_core.templating import environment


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        environment().from_string("{{ text }}").render()


def test_html_is_escaped_and_markdown_is_not() -> None:
    source = "{{ text }}"
    pages = environment()
    pages.loader = jinja2.DictLoader({"page.html.j2": source, "page.md.j2": source})
    assert pages.get_template("page.html.j2").render(text="<b>") == "&lt;b&gt;"
    assert pages.get_template("page.md.j2").render(text="<b>") == "<b>"
