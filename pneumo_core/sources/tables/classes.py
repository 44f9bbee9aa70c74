"""The class of a film by the rows of a table: rules, several rows, several readers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pneumo_core.errors import SourceError
from pneumo_core.labels import LABELS, canonical
from pneumo_core.sources.layout import parse_label
from pneumo_core.sources.tables.lines import Line, Table
from pneumo_core.sources.tables.settings import LabelRules, Rule, TableSettings

NORMAL, PNEUMONIA = LABELS
NEITHER = "left out: {} films that are in neither class"
DISAGREE = "left out: {} films whose readers disagree"


@dataclass(frozen=True)
class Classes:
    """Classes of the lines of a table. A film that is left out has a sentence in place of one."""

    table: Table
    settings: TableSettings
    class_names: Mapping[str, str]  # where there are no rules

    def of_film(self, lines: Sequence[Line]) -> str:
        """Return the class, or the sentence of `Notes` that says why the film is left out.

        Raises:
            SourceError: a line is of no class or of both, or lines contradict each other.
        """
        found = [self._of_line(line) for line in lines]
        if len(set(found)) == 1:
            return found[0]
        if self.settings.readers is None:
            other = next(line for line, each in zip(lines, found, strict=True) if each != found[0])
            raise SourceError(
                f"{self.table.path}: lines {lines[0].number} and {other.number} are of one film "
                "and contradict each other in its label: correct one, or say in the description "
                "how several readers count (readers: majority, any or all)."
            )
        return _agreed([*self._by_reader(lines, found).values()], self.settings.readers)

    def _by_reader(self, lines: Sequence[Line], found: Sequence[str]) -> dict[str, str]:
        """Return what each reader says; a line without a reader is one of its own."""
        opinions: dict[str, str] = {}
        for line, opinion in zip(lines, found, strict=True):
            reader = canonical(self.table.cell(line, "reader")) or f"line {line.number}"
            before = opinions.setdefault(reader, opinion)
            if opinion == PNEUMONIA or before == NORMAL:  # several boxes of one reader
                opinions[reader] = opinion
        return opinions

    def _of_line(self, line: Line) -> str:
        rules, where = self.settings.labels, f"{self.table.path}, line {line.number}"
        if rules is None:
            return parse_label(self.table.cell(line, "label"), where, self.class_names)
        if rule := self._fitting(rules.left_out, line):
            value = self.table.shown(line, rule.column)
            what = value if rule.equals else f"that contains {_joined(rule.contains)}"
            return f"left out: {{}} films with {rule.column} {what}"
        positive = self._fitting(rules.PNEUMONIA, line)
        negative = self._fitting(rules.NORMAL, line)
        if positive and negative:
            raise SourceError(f"{where} is both NORMAL and PNEUMONIA by `labels`: correct it.")
        if positive or negative:
            return PNEUMONIA if positive else NORMAL
        if rules.others == "left_out":
            return NEITHER
        raise SourceError(f"{where} {self._unfit(rules, line)}")

    def _unfit(self, rules: LabelRules, line: Line) -> str:
        columns = {rule.column for rule in (*rules.NORMAL, *rules.PNEUMONIA)}
        values = ", ".join(f"{each} '{self.table.shown(line, each)}'" for each in sorted(columns))
        return (
            f"is neither NORMAL nor PNEUMONIA by `labels` ({values}): add the value to a class or "
            "to left_out, or set others: left_out there."
        )

    def _fitting(self, rules: Sequence[Rule], line: Line) -> Rule | None:
        return next(
            (rule for rule in rules if fits(rule, self.table.cell(line, rule.column))), None
        )


def fits(rule: Rule, cell: str) -> bool:
    """Return whether a cell has one of the rule's values."""
    if rule.equals:
        return canonical(cell) in {canonical(value) for value in rule.equals}
    # A list as Python writes it, ['pneumonia', 'normal'], has marks around its parts.
    parts = {canonical(part.strip(" []()'\"")) for part in cell.split(rule.separator)}
    return not parts.isdisjoint(canonical(value) for value in rule.contains)


def _joined(values: Sequence[object]) -> str:
    return " or ".join(map(str, values))


def _agreed(opinions: Sequence[str], readers: str) -> str:
    """Return the class by the stated rule.

    majority: what more than half say. any: PNEUMONIA if one says so, NORMAL if all do.
    all: what all say.
    """
    if readers == "any" and PNEUMONIA in opinions:
        return PNEUMONIA
    most, number = Counter(opinions).most_common(1)[0]
    enough = number > len(opinions) / 2 if readers == "majority" else number == len(opinions)
    return most if enough else DISAGREE
