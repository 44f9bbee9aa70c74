"""A document as HTML that needs no other file, and as Markdown with the same blocks."""

import base64
import hashlib
import re
from collections.abc import Mapping
from importlib.resources import files

import jinja2
from markupsafe import Markup, escape

from pneumo_core.report.blocks import Document
from pneumo_core.report.words import LANGUAGES, Words
from pneumo_core.templating import environment

STRONG, NAME = re.compile(r"\*\*(.+?)\*\*"), re.compile(r"`(.+?)`")
INTERVAL = re.compile(r"(?<=\S) (\([^()]*\d[^()]*\))$")  # after its figure, at the end
RANGE = re.compile(r"\([^()\s]*\d[^()\s]*[\u2013~][^()\s]*\)")
MARKDOWN_SPECIAL = re.compile(r"([\\|<>\[\]])")

Files = Mapping[str, str]  # name of the page by language


def to_html(document: Document, page_of: Files) -> str:
    """Return the page, with a link to the other language's page."""
    words = Words(document.language)
    (language,) = (each for each in LANGUAGES if each != document.language)
    other = {"language": language, "name": Words(language)("page.language")}
    script = _resource("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return _template("report.html.j2", inline=_inline_html, cell=_cell_html).render(
        document=document,
        skip=words("page.skip"),
        contents=words("page.contents"),
        other=other | {"file": page_of[language]} if language in page_of else None,
        style=_resource("palette.css") + _resource("report.css"),
        script=script,
        script_sha256=digest,
    )


def to_markdown(document: Document, suffix: str) -> str:
    """Return the Markdown, with links to the charts' files, which end in `suffix`.svg."""
    return _template("report.md.j2", inline=_inline_markdown).render(
        document=document, suffix=suffix
    )


def _template(name: str, **filters: object) -> jinja2.Template:
    pages = environment()
    pages.filters |= filters
    return pages.get_template(name)


def _resource(name: str) -> str:
    return files("pneumo_core").joinpath("templates", name).read_text("utf-8")


def _inline_html(text: str) -> Markup:
    marked = RANGE.sub(r'<span class="whole">\g<0></span>', str(escape(text)))
    marked = STRONG.sub(r"<strong>\1</strong>", marked)
    return Markup(NAME.sub(r"<code>\1</code>", marked))


def _cell_html(text: str) -> Markup:
    """Return a cell that breaks only between figure, interval and remark, never inside one."""
    figure, *interval = INTERVAL.split(text)
    if not interval and RANGE.search(text):
        return _inline_html(text)
    whole = Markup('<span class="whole">{}</span>').format(_inline_html(figure))
    if not interval:
        return whole
    return whole + Markup(' <span class="interval">{}</span>').format(interval[0])


def _inline_markdown(text: str) -> str:
    """Return the text on one line, with the special characters of Markdown and HTML escaped."""
    parts = re.split(r"(`[^`]+`)", " ".join(text.split()))
    return "".join(
        part if part.startswith("`") else MARKDOWN_SPECIAL.sub(r"\\\1", part) for part in parts
    )
