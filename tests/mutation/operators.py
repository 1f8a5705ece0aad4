"""Which small faults are made, and where: some of cosmic-ray's operators, and one of ours."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import parso
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator

# Of each comparison its boundary and its opposite, of each arithmetic operator one other: the rest is found by the same
# tests. Decorators and names are left alone, since a program without them does not start.
_NAMES = (
    *(f"ReplaceComparisonOperator_{pair}" for pair in (
        "Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is", "Lt_LtE", "Lt_GtE", "LtE_Lt", "LtE_Gt", "Gt_GtE", "Gt_LtE",
        "GtE_Gt", "GtE_Lt",
    )),
    *(f"ReplaceBinaryOperator_{pair}" for pair in (
        "Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "FloorDiv_Mul", "Mod_Mul", "Pow_Mul", "BitOr_BitAnd",
        "BitAnd_BitOr",
    )),
    "ReplaceUnaryOperator_Delete_Not", "ReplaceUnaryOperator_USub_UAdd", "AddNot", "ReplaceAndWithOr",
    "ReplaceOrWithAnd", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceBreakWithContinue",
    "ReplaceContinueWithBreak", "NumberReplacer", "ZeroIterationForLoop", "ExceptionReplacer",
)  # fmt: skip

OURS = "RemoveStatement"


class RemoveStatement(Operator):
    """Puts ``pass`` for a call, a `raise`, a `del`, or an assignment to something that is not a plain name.

    What goes to the log is left alone.
    """

    def mutation_positions(self, node: Any) -> Iterator[Any]:
        """Where: each simple statement of these kinds."""
        if node.type == "simple_stmt" and _does_something(node.children[0]):
            yield (node.start_pos, node.end_pos)

    def mutate(self, node: Any, index: int) -> Any:
        """The statement without its effect."""
        statement = node.children[0]
        node.children[0] = parso.parse(f"{statement.get_first_leaf().prefix}pass")
        return node

    @classmethod
    def examples(cls) -> tuple[Any, ...]:
        """None: cosmic-ray's own tests use them."""
        return ()


def _does_something(statement: Any) -> bool:
    if statement.type in ("atom_expr", "power"):
        code: str = statement.get_code().strip()
        return code.endswith(")") and not code.startswith("logger")
    if statement.type == "expr_stmt":
        return bool(statement.children[0].type != "name" and statement.children[1].type != "annassign")
    return statement.type in ("raise_stmt", "del_stmt")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault: the `occurrence`-th place in a module at which an operator can be applied."""

    module: str
    operator: str
    occurrence: int
    line: int

    def source(self, original: str) -> str:
        """The module with the fault."""
        mutated = mutate_code(original, _made(self.operator), self.occurrence)
        assert isinstance(mutated, str)
        return mutated

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def mutants_of(module: str, source: str) -> list[Mutant]:
    """Every fault that can be made in a module, but for those in annotations and decorators."""
    nodes = [node for node in ast_nodes(get_ast(source)) if not _is_mark(node)]
    spans = _left_alone(source)
    found = []
    for name in (*_NAMES, OURS):
        operator = _made(name)
        places = [place for node in nodes for place in operator.mutation_positions(node)]
        for occurrence, (start, _) in enumerate(places):
            if not any(first <= tuple(start) < last for first, last in spans):
                found.append(Mutant(module, name, occurrence, start[0]))
    return found


def lines_of(source: str) -> dict[int, frozenset[int]]:
    """For each line those of the innermost statement it belongs to, of a compound one only its head."""
    found: dict[int, frozenset[int]] = {}
    for node in ast.walk(ast.parse(source)):  # outer ones first
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            last = body[0].lineno - 1 if body else node.end_lineno or node.lineno
            lines = range(node.lineno, max(last, node.lineno) + 1)
            found |= dict.fromkeys(lines, frozenset(lines))
    return found


def _is_mark(node: Any) -> bool:
    """The bare ``*`` among a function's parameters."""
    return node.type == "operator" and node.parent.type in ("parameters", "param", "lambdef")


def _made(name: str) -> Any:
    return RemoveStatement() if name == OURS else get_operator(f"core/{name}")()


def _left_alone(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    found = []
    for node in ast.walk(ast.parse(source)):
        for each in (getattr(node, "annotation", None), getattr(node, "returns", None),
                     *getattr(node, "decorator_list", ())):  # fmt: skip
            if isinstance(each, ast.expr):
                found.append(((each.lineno, each.col_offset), (each.end_lineno or 0, each.end_col_offset or 0)))
    return found
