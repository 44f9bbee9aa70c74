from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from pneumo_core.errors import SourceError
from pneumo_core.sources.tables.images import Images

WriteTree = Callable[[Path, dict[str, bytes]], Path]


@pytest.fixture
def roots(tmp_path: Path, write_tree: WriteTree) -> list[Path]:
    files = ("one/x/a.png", "one/b.png", "two/y/c.png", "two/y/d.png", "two/z/d.png", "two/b.png")
    write_tree(tmp_path, {**dict.fromkeys(files, b"x"), "two/notes.txt": b"", "two/.e.png": b""})
    return [tmp_path / "one", tmp_path / "two"]


@pytest.mark.parametrize(
    ("text", "name", "path"),
    [
        ("x/a.png", "x/a.png", "one/x/a.png"),
        ("x\\a.png", "x/a.png", "one/x/a.png"),
        ("./y/c.png", "y/c.png", "two/y/c.png"),
        ("a.png", "a.png", "one/x/a.png"),
        ("C:\\films\\c.png", "c.png", "two/y/c.png"),
        ("\\\\server\\films\\c.png", "c.png", "two/y/c.png"),
        ("/elsewhere/c.png", "c.png", "two/y/c.png"),
        ("gone.png", "gone.png", "one/gone.png"),
        ("q/a.png", "q/a.png", "one/q/a.png"),
    ],
)
def test_an_image_is_found_by_its_path_or_its_name(
    tmp_path: Path, roots: list[Path], text: str, name: str, path: str
) -> None:
    found = Images(roots).find(text, "line 2")
    assert (str(found[0]), found[1]) == (name, tmp_path / path)


def test_an_absolute_path_below_a_folder_is_within_it(roots: list[Path]) -> None:
    name, path = Images(roots, stated=False).find(str(roots[1] / "y/c.png"), "line 2")
    assert (str(name), path) == ("y/c.png", roots[1] / "y/c.png")


@pytest.mark.parametrize(
    ("text", "stated", "message"),
    [
        ("../a.png", True, "expected a file below"),
        ("", True, "expected a file below"),
        ("d.png", True, "2 files fit the name"),
        ("b.png", True, "2 files fit the name"),
        ("D:\\c.png", False, r"of another place, .* Set `root:`"),
        ("/elsewhere/c.png", False, r"of another place, .* Set `root:`"),
    ],
)
def test_what_is_outside_or_unclear_is_refused(
    roots: list[Path], text: str, stated: bool, message: str
) -> None:
    with pytest.raises(SourceError, match=rf"^line 2: .*{message}"):
        Images(roots, stated).find(text, "line 2")


def test_images_that_no_line_names_are_counted(roots: list[Path]) -> None:
    assert Images(roots).count_unnamed(["x/a.png", "b.png", "d.png"]) == 1


def test_a_linked_folder_is_not_followed(tmp_path: Path, roots: list[Path]) -> None:
    """Else a row could read any file of this machine."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.png").write_bytes(b"x")
    (roots[0] / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(SourceError, match=r"^line 2: .*link links to a folder"):
        Images(roots).find("link/a.png", "line 2")


def test_the_folder_itself_may_be_a_link(tmp_path: Path, roots: list[Path]) -> None:
    (tmp_path / "linked").symlink_to(roots[0])
    name, path = Images([tmp_path / "linked"]).find("x/a.png", "line 2")
    assert (str(name), path) == ("x/a.png", tmp_path / "linked/x/a.png")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("q/A.PNG", "one/x/a.png differs from it in case or ending: correct"),
        ("c", "two/y/c.png differs from it in case or ending: correct"),
        ("q/a.png", "one/x/a.png, so set `root:` to the folder in which"),
        ("gone.png", "set `root:` in the description to their folder"),
    ],
)
def test_advice_says_where_an_image_is(roots: list[Path], name: str, advice: str) -> None:
    assert advice in Images(roots).advice(PurePosixPath(name))
