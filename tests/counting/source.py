"""A module's source with counters in it: each call, loop, slice, search and joined text says what it took.

The changed text does the same as the original. What it leaves uncounted takes a bounded time each: names,
attributes, indices, comparisons of numbers. ``runtime`` has the counters' side.
"""

from __future__ import annotations

import ast

NAME = "__steps__"
# These look at the frame of their caller, or at names of it.
_UNCHANGED = frozenset({"super", "locals", "globals", "vars", "TypeVar", "ParamSpec", "NewType"})
_SIZED = (ast.Add, ast.Mod, ast.Mult)


def counting(source: str, filename: str) -> ast.Module:
    """Return the tree of ``source`` with counters in it."""
    tree = ast.parse(source, filename)
    _Counters().visit(tree)  # in place
    return ast.fix_missing_locations(tree)


class _Counters(ast.NodeTransformer):
    """Puts the counters in; annotations and decorators' names stay as they are."""

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """``f(x)`` is ``__steps__.call(f, x)``."""
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id in _UNCHANGED:
            return node
        return _asked("call", node, node.func, *node.args, keywords=node.keywords)

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        """A slice copies what it gives."""
        self.generic_visit(node)
        if isinstance(node.slice, ast.Slice) and isinstance(node.ctx, ast.Load):
            return _asked("made", node, node)
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        """Texts joined."""
        self.generic_visit(node)
        return _asked("made", node, node) if isinstance(node.op, _SIZED) else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        """A text with values in it."""
        self.generic_visit(node)
        return _asked("made", node, node)

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.FormattedValue:
        """The value only: its format is a JoinedStr that must stay one."""
        node.value = self.visit(node.value)
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        """``x in y`` looks through ``y``; texts of one length are compared whole."""
        self.generic_visit(node)
        if len(node.ops) != 1:
            return node
        names = {ast.In: "within", ast.NotIn: "without", ast.Eq: "equal", ast.NotEq: "unequal"}
        name = names.get(type(node.ops[0]))
        return _asked(name, node, node.left, node.comparators[0]) if name else node

    def visit_AugAssign(self, node: ast.AugAssign) -> list[ast.stmt]:
        """``text += more`` may copy the text; a list only takes what comes."""
        self.generic_visit(node)
        node.value = _asked("made", node, node.value)
        if isinstance(node.target, ast.Name) and isinstance(node.op, ast.Add):
            seen = ast.Name(node.target.id, ast.Load())
            return [node, ast.copy_location(ast.Expr(_asked("grown", node, seen)), node)]
        return [node]

    def visit_For(self, node: ast.For) -> ast.For:
        """One for each turn."""
        self.generic_visit(node)
        node.body.insert(0, _turn(node))
        return node

    def visit_While(self, node: ast.While) -> ast.While:
        """One for each turn."""
        self.generic_visit(node)
        node.body.insert(0, _turn(node))
        return node

    def visit_comprehension(self, node: ast.comprehension) -> ast.comprehension:
        """One for each turn, also for those that the conditions leave out."""
        self.generic_visit(node)
        node.ifs.insert(0, ast.copy_location(_asked("turn", node.iter), node.iter))
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        """Only what is run counts: annotations stay texts."""
        node.body = [one for statement in node.body for one in _listed(self.visit(statement))]
        node.args.defaults = [self.visit(one) for one in node.args.defaults]
        node.args.kw_defaults = [one and self.visit(one) for one in node.args.kw_defaults]
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AnnAssign:
        """The value only."""
        node.value = node.value and self.visit(node.value)
        return node


def _listed(one: ast.stmt | list[ast.stmt]) -> list[ast.stmt]:
    return one if isinstance(one, list) else [one]


def _turn(node: ast.stmt) -> ast.stmt:
    return ast.copy_location(ast.Expr(_asked("turn", node)), node)


def _asked(
    name: str, place: ast.AST, *values: ast.expr, keywords: list[ast.keyword] | None = None
) -> ast.Call:
    function = ast.Attribute(ast.Name(NAME, ast.Load()), name, ast.Load())
    return ast.copy_location(ast.Call(function, list(values), keywords or []), place)
