import pytest

from pneumo_core.sources.tables.classes import fits
from pneumo_core.sources.tables.settings import Rule


@pytest.mark.parametrize(
    ("rule", "cell", "expected"),
    [
        ({"equals": [1]}, "1.0", True),
        ({"equals": ["1"]}, " 1 ", True),
        ({"equals": [1]}, "10", False),
        ({"equals": [-1]}, "-1.0", True),
        ({"equals": [""]}, "", True),
        ({"equals": ["No Finding"]}, "no finding", True),
        ({"equals": ["Pneumonia"]}, "Edema|Pneumonia", False),
        ({"contains": ["Pneumonia"]}, "Edema|Pneumonia", True),
        ({"contains": ["Pneumonia"]}, "Pneumonia", True),
        ({"contains": ["Pneumonia"]}, "No Pneumonia|Edema", False),
        ({"contains": ["pneumonia"], "separator": ","}, "['edema', 'pneumonia ']", True),
        ({"contains": ["pneumonia"], "separator": ","}, "['viral pneumonia']", False),
        ({"contains": ["b"], "separator": ";"}, "a; B", True),
    ],
)
def test_a_cell_fits_whole_values_in_any_case(
    rule: dict[str, object], cell: str, expected: bool
) -> None:
    assert fits(Rule.model_validate(rule), cell) is expected
