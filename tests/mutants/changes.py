"""The changes of a mutation run: mutmut's, constant conditions, and omitted calls."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import libcst as cst
import libcst.matchers as m
from libcst.metadata import ByteSpanPositionProvider, MetadataWrapper
from mutmut.mutation.mutators import mutation_operators

ROOT = Path(__file__).resolve().parents[2]


class Mutant(NamedTuple):
    """A changed source; `old` and `new` are the lines that differ, without indentation."""

    file: str
    where: str
    line: int
    old: str
    new: str
    source: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Its key in the list of explanations, independent of lines added above it."""
        return self.file, self.where, self.old, self.new


def constant_conditions(node: cst.If | cst.While | cst.CompIf) -> Iterator[cst.CSTNode]:
    """A condition that never holds, and one that always does."""
    for value in ("False", "True"):
        if not (isinstance(node, cst.While) and value == "True"):
            yield cst.Name(value)


def dropped_call(node: cst.Expr) -> Iterator[cst.CSTNode]:
    """Omit a call whose result is not used."""
    called = node.value.expression if isinstance(node.value, cst.Await) else node.value
    if isinstance(called, cst.Call):
        yield cst.Pass()


class Changes(cst.CSTVisitor):
    """Collects (function, start and length in bytes, new text) over a module."""

    METADATA_DEPENDENCIES = (ByteSpanPositionProvider,)

    def __init__(self, module: cst.Module) -> None:
        super().__init__()
        self.found: list[tuple[str, int, int, str]] = []
        self._module = module
        self._scope: list[str] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.Annotation | cst.Decorator | cst.Import | cst.ImportFrom | cst.TypeAlias):
            return False
        if m.matches(node, m.Assign(targets=[m.AssignTarget(m.Name("__all__"))])):
            return False
        if isinstance(node, cst.FunctionDef | cst.ClassDef):
            self._scope.append(node.name.value)
        if isinstance(node, cst.If | cst.While | cst.CompIf):
            self._add(node.test, constant_conditions(node))
        if isinstance(node, cst.Expr):
            self._add(node, dropped_call(node))
        for kind, operator in mutation_operators:
            if isinstance(node, kind) and not self._is_pointless(node, kind):
                self._add(node, operator(node))
        return True

    @staticmethod
    def _is_pointless(node: cst.CSTNode, kind: type) -> bool:
        """Whether mutmut's change of a node cannot be applied by position, or only makes None of False."""
        if isinstance(node, cst.Match):
            return True
        return kind in (cst.Assign, cst.AnnAssign) and m.matches(
            node, m.Assign(value=m.Name("False")) | m.AnnAssign(value=m.Name("False"))
        )

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if isinstance(original_node, cst.FunctionDef | cst.ClassDef):
            self._scope.pop()

    def _add(self, node: cst.CSTNode, changes: Iterable[cst.CSTNode]) -> None:
        span = self.get_metadata(ByteSpanPositionProvider, node, None)
        if span is not None:
            where = ".".join(self._scope) or "module"
            for changed in changes:
                # The span of an expression begins inside its parentheses.
                inner = changed.with_changes(lpar=(), rpar=()) if getattr(node, "lpar", ()) else changed
                self.found.append((where, span.start, span.length, self._module.code_for_node(inner)))


def mutants(file: str) -> list[Mutant]:
    """Every changed version of a file that Python can compile, each once."""
    source = (ROOT / file).read_bytes()
    wrapper = MetadataWrapper(cst.parse_module(source))
    changes = Changes(wrapper.module)
    wrapper.visit(changes)
    made: dict[str, Mutant] = {}
    for where, start, length, text in changes.found:
        code = (source[:start] + text.encode() + source[start + length :]).decode()
        with suppress(SyntaxError, ValueError):
            compile(code, file, "exec")
            if code not in made:
                made[code] = _mutant(file, where, source.decode(), code)
    return [mutant for mutant in made.values() if mutant.old != mutant.new]


def _mutant(file: str, where: str, source: str, code: str) -> Mutant:
    before, after = ([line.strip() for line in text.splitlines()] for text in (source, code))
    same = _equal_at_start(before, after)
    end = _equal_at_start(before[same:][::-1], after[same:][::-1])
    old, new = ("\n".join(lines[same : len(lines) - end]) for lines in (before, after))
    return Mutant(file, where, same + 1, old, new, code)


def _equal_at_start(one: Sequence[str], other: Sequence[str]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((number for number, (a, b) in pairs if a != b), min(len(one), len(other)))
