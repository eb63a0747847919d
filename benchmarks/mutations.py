"""Small changes to a module's source, each of which a test should notice.

A mutation replaces one expression or statement and keeps every line where it is. Annotations,
docstrings, what is raised, and what is written to a log are left alone.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
#: Functions and the ones that take their place.
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "sum": "max", "abs": "float"}


@dataclass(frozen=True)
class Mutation:
    """One change to a source: what stands from one place to another becomes something else."""

    line: int
    end_line: int
    start: int
    """In bytes from the beginning of the file."""
    end: int
    before: str
    after: str

    def applied(self, source: str) -> str:
        """Returns the changed source, in which every other line is where it was."""
        encoded, after = source.encode(), self.after
        lines = "\n" * (self.before.count("\n") - after.count("\n"))
        inside = 1 + min((after.find(bracket) for bracket in "([" if bracket in after), default=-1)
        whole = after[:inside] + lines + after[inside:] if inside else after + lines
        return (encoded[: self.start] + whole.encode() + encoded[self.end :]).decode()


def mutations(source: str) -> Iterator[Mutation]:
    """Yields every mutation of a module, in the order of its lines."""
    begins = [0]
    for line in source.encode().splitlines(keepends=True):
        begins.append(begins[-1] + len(line))
    for node in reached(ast.parse(source)):
        start = begins[node.lineno - 1] + node.col_offset
        end = begins[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        before = source.encode()[start:end].decode()
        for after in replacements(node):
            yield Mutation(node.lineno, node.end_lineno or 0, start, end, before, after)


def reached(node: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    """Yields the nodes below one that may be mutated."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "bases", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or left_alone(child):
                continue
            if isinstance(child, ast.expr | ast.stmt):
                yield child
            yield from reached(child)


def left_alone(node: ast.AST) -> bool:
    """Whether nothing in a node is mutated; where parts of an f-string stand is not known."""
    if isinstance(node, ast.keyword) and node.arg == "strict":  # zip's, for what cannot be
        return True
    if isinstance(node, ast.Raise | ast.Assert | ast.JoinedStr | ast.Import | ast.ImportFrom):
        return True
    return isinstance(node, ast.Expr) and ast.unparse(node).startswith(("log.", "warnings.", "'"))


def replacements(node: ast.expr | ast.stmt) -> Iterator[str]:
    """Yields what may stand in a node's place."""
    if isinstance(node, ast.stmt):
        return of_statement(node)
    if isinstance(node, ast.Compare | ast.BinOp | ast.BoolOp | ast.UnaryOp):
        return of_operators(node)
    return of_value(node)


def of_statement(node: ast.stmt) -> Iterator[str]:
    """Nothing is returned, or nothing is done."""
    match node:
        case ast.Return(value=ast.expr() as value) if ast.unparse(value) != "None":
            yield "return None"
        case ast.AugAssign() | ast.Expr(value=ast.Call()):
            yield "pass"
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript(), *_]):
            yield "pass"


def of_operators(node: ast.Compare | ast.BinOp | ast.BoolOp | ast.UnaryOp) -> Iterator[str]:
    """Another operator, or only the first operand."""
    changed = copy.deepcopy(node)
    match changed:
        case ast.Compare(ops=operators):
            for number, operator in enumerate(operators):
                for other in COMPARISONS[type(operator)]:
                    operators[number] = other()
                    yield f"({ast.unparse(changed)})"
                operators[number] = operator
        case ast.BinOp(left=first, op=operator) if type(operator) in OPERATORS:
            changed.op = OPERATORS[type(operator)]()
            yield from (f"({ast.unparse(changed)})", f"({ast.unparse(first)})")
        case ast.BoolOp(op=operator, values=[first, *_]):
            changed.op = ast.Or() if isinstance(operator, ast.And) else ast.And()
            yield from (f"({ast.unparse(changed)})", f"({ast.unparse(first)})")
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield f"({ast.unparse(operand)})"


def of_value(node: ast.expr) -> Iterator[str]:
    """Another constant, the other of two values, another function, or a list without its last."""
    match node:
        case ast.Constant(value=bool(value)):
            yield str(not value)
        case ast.Constant(value=int(value)):
            yield str(value + 1)
        case ast.Constant(value=float(value)):
            yield from (repr(3 * value), repr(value / 3)) if value else ("1.0",)
        case ast.IfExp(test=test, body=body, orelse=other):
            yield f"({ast.unparse(ast.IfExp(test, other, body))})"
        case ast.Call(func=ast.Name(id=name), args=[_, *_]) if name in NAMES:
            yield ast.unparse(ast.Call(ast.Name(NAMES[name]), node.args, node.keywords))
        case ast.List(elts=[*rest, _]):
            yield ast.unparse(ast.List(rest))
