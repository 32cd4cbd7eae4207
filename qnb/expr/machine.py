"""Translates the kernels from Python to machine code with LLVM: a small, typed part of Python and nothing else.

The kernels of `qnb.expr.kernels` are plain loops over numbers on pointers. Type inference for all of Python costs
seconds on a first run; this part needs none, so the kernels are ready in a fraction of a second. It knows

* ``int`` (64 bit), ``float`` (double) and ``bool`` variables, each of one type throughout, set before use;
* assignment, ``if``, ``while``, ``for`` over ``range`` with a constant step, loads and stores ``p[i]``;
* ``+ - * /``, ``//`` and ``%`` of numbers that are not negative, ``&``, comparisons, ``and or not``,
  ``a if c else b``, ``float()``, ``int()`` (towards zero), ``sqrt()``, and float constants of the module.

Division by zero and indices are not checked. Everything else is a `TypeError` that names the line. A product and a sum
may be fused, and a division become a multiplication (``contract``, ``arcp``); NaN and infinity keep their meaning.
"""

from __future__ import annotations

import ast
import inspect
import struct
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["compile_object", "host_machine", "signature_of", "target_name", "translate"]

_FAST = "contract arcp "
_ARITHMETIC = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul"}
_COMPARE = {
    ast.Lt: ("slt", "olt"), ast.LtE: ("sle", "ole"), ast.Gt: ("sgt", "ogt"), ast.GtE: ("sge", "oge"),
    ast.Eq: ("eq", "oeq"), ast.NotEq: ("ne", "une"),
}  # fmt: skip
_INT, _FLOAT, _BOOL = "i64", "double", "i1"
_ELEMENTS = {"f8": _FLOAT, "f4": "float", "f4s": "float", "i8": _INT}


def signature_of(function: Callable[..., Any]) -> dict[str, str]:
    """Return the type of each parameter as its annotation says: ``f8*``, ``f4*``, ``i8*`` pointers, ``i8`` an int.

    Raises
    ------
    TypeError
        An annotation is none of ``F8``, ``F4``, ``F4Stream``, ``I8`` and ``int``.
    """
    kinds = {"F8": "f8*", "F4": "f4*", "F4Stream": "f4s*", "I8": "i8*", "int": "i8"}
    found = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.annotation not in kinds:
            raise TypeError(f"{function.__name__}: parameter {parameter.name} must be one of {', '.join(kinds)}")
        found[parameter.name] = kinds[parameter.annotation]
    return found


def translate(function: Callable[..., Any]) -> str:
    """Return LLVM assembly of `function`.

    Parameters
    ----------
    function : callable
        Written in the part of Python described above, with the annotations of `qnb.expr.kernels.types`. No two pointers
        that are written through may overlap.

    Raises
    ------
    TypeError
        The function uses something else; names the line.
    """
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(tree, ast.FunctionDef)
    return _Function(tree, signature_of(function), function.__globals__).text()


def compile_object(assembly: str) -> bytes:
    """Return the object code of LLVM assembly for this processor."""
    import llvmlite.binding as llvm

    machine = host_machine()
    module = llvm.parse_assembly(assembly)
    module.verify()
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3))
    builder.getModulePassManager().run(module, builder)
    return machine.emit_object(module)


def target_name() -> str:
    """Return what object code depends on: processor, its features, and the versions of llvmlite and LLVM."""
    import llvmlite
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features().flatten()
    return f"{llvm.get_process_triple()} {llvm.get_host_cpu_name()} {features} {llvmlite.__version__}"


def host_machine() -> Any:
    """Return the description of this processor to LLVM."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    return target.create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=3,
        reloc="default",
        codemodel="jitdefault",
        jit=True,
    )


class _Function:
    """Emits one function; a typed expression is the pair (type, LLVM value)."""

    def __init__(self, tree: ast.FunctionDef, signature: Mapping[str, str], constants: Mapping[str, Any]) -> None:
        self.tree, self.signature, self.constants = tree, signature, constants
        self.pointers: dict[str, str] = {}
        self.variables: dict[str, str] = {}
        self.lines: list[str] = []
        self.count = 0
        self.block = "entry"

    def text(self) -> str:
        heads, setup = [], []
        for name, kind in self.signature.items():
            if kind.endswith("*"):
                self.pointers[name] = _ELEMENTS[kind[:-1]]
                heads.append(f"ptr noalias nocapture %p.{name}")
            else:
                heads.append(f"i64 %p.{name}")
                self.variables[name] = _INT
                setup.append(f"store i64 %p.{name}, ptr %v.{name}")
        self.body(self.tree.body)
        slots = [f"%v.{name} = alloca {kind}" for name, kind in self.variables.items()]
        body = "\n  ".join(["entry:", *slots, *setup, *self.lines, "ret void"])
        head = f"define void @{self.tree.name}({', '.join(heads)}) nounwind"
        return f"declare double @llvm.sqrt.f64(double)\n{head} {{\n{body}\n}}\n!0 = !{{i32 1}}\n"

    # statements

    def body(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            handler = getattr(self, f"do_{type(statement).__name__}", None)
            if handler is None:
                raise self.refused(statement)
            handler(statement)

    def do_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring
            raise self.refused(node)

    def do_Assign(self, node: ast.Assign) -> None:
        self.store(node.targets[0], self.value(node.value))

    def do_AugAssign(self, node: ast.AugAssign) -> None:
        left = (
            ast.copy_location(ast.Name(node.target.id, ast.Load()), node) if isinstance(node.target, ast.Name) else None
        )
        if left is None:
            raise self.refused(node)
        self.store(node.target, self.value(ast.copy_location(ast.BinOp(left, node.op, node.value), node)))

    def do_If(self, node: ast.If) -> None:
        then, other, end = self.label("then"), self.label("else"), self.label("end")
        self.branch(self.truth(node.test), then, other)
        self.start(then)
        self.body(node.body)
        self.jump(end)
        self.start(other)
        self.body(node.orelse)
        self.jump(end)
        self.start(end)

    def do_While(self, node: ast.While) -> None:
        test, body, end = self.label("test"), self.label("body"), self.label("end")
        self.jump(test)
        self.start(test)
        self.branch(self.truth(node.test), body, end)
        self.start(body)
        self.body(node.body)
        self.jump(test)
        self.start(end)

    def do_For(self, node: ast.For) -> None:
        call = node.iter
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "range"):
            raise self.refused(node)
        bounds = [self.as_int(a) for a in call.args[:2]]
        first, last = ("0", bounds[0]) if len(bounds) == 1 else bounds
        step = int(ast.literal_eval(call.args[2])) if len(call.args) == 3 else 1
        counter = f"range.{self.count}"
        self.variables[counter] = _INT
        self.emit(f"store i64 {first}, ptr %v.{counter}")
        test, body, end = self.label("test"), self.label("body"), self.label("end")
        self.jump(test)
        self.start(test)
        now = self.new(f"load i64, ptr %v.{counter}")
        self.branch(self.new(f"icmp {'slt' if step > 0 else 'sgt'} i64 {now}, {last}"), body, end)
        self.start(body)
        self.store(node.target, (_INT, now))
        self.body(node.body)
        self.emit(f"store i64 {self.new(f'add nsw i64 {now}, {step}')}, ptr %v.{counter}")
        self.jump(test)
        self.start(end)

    def store(self, target: ast.expr, value: tuple[str, str]) -> None:
        if isinstance(target, ast.Name):
            kind = self.variables.setdefault(target.id, value[0])
            if kind != value[0]:
                raise TypeError(f"{self.where(target)}: {target.id} is {kind} and cannot become {value[0]}")
            self.emit(f"store {kind} {value[1]}, ptr %v.{target.id}")
        elif isinstance(target, ast.Subscript):
            element, address = self.address(target)
            number = self.as_float(value)
            if element == "float":
                number = self.new(f"fptrunc double {number} to float")
            elif element == _INT:
                raise self.refused(target)
            streamed = isinstance(target.value, ast.Name) and self.signature[target.value.id] == "f4s*"
            self.emit(f"store {element} {number}, ptr {address}" + (", !nontemporal !0" if streamed else ""))
        else:
            raise self.refused(target)

    # expressions

    def value(self, node: ast.expr) -> tuple[str, str]:
        handler = getattr(self, f"of_{type(node).__name__}", None)
        if handler is None:
            raise self.refused(node)
        return handler(node)

    def of_Constant(self, node: ast.Constant) -> tuple[str, str]:
        if isinstance(node.value, float):
            return _FLOAT, _float(node.value)
        if isinstance(node.value, bool):
            return _BOOL, str(node.value).lower()
        if isinstance(node.value, int):
            return _INT, str(node.value)
        raise self.refused(node)

    def of_Name(self, node: ast.Name) -> tuple[str, str]:
        kind = self.variables.get(node.id)
        if kind is not None:
            return kind, self.new(f"load {kind}, ptr %v.{node.id}")
        constant = self.constants.get(node.id)
        if isinstance(constant, float):
            return _FLOAT, _float(constant)
        raise self.refused(node)

    def of_Subscript(self, node: ast.Subscript) -> tuple[str, str]:
        element, address = self.address(node)
        loaded = self.new(f"load {element}, ptr {address}")
        if element == "float":
            return _FLOAT, self.new(f"fpext float {loaded} to double")
        return element, loaded

    def of_BinOp(self, node: ast.BinOp) -> tuple[str, str]:
        left, right = self.value(node.left), self.value(node.right)
        if left[0] == right[0] == _INT and not isinstance(node.op, ast.Div):
            names = {ast.FloorDiv: "sdiv", ast.Mod: "srem", ast.BitAnd: "and"}
            name = names.get(type(node.op)) or _ARITHMETIC.get(type(node.op))
            if name is None:
                raise self.refused(node)
            wrap = "nsw " if type(node.op) in _ARITHMETIC else ""
            return _INT, self.new(f"{name} {wrap}i64 {left[1]}, {right[1]}")
        name = "fdiv" if isinstance(node.op, ast.Div) else "f" + _ARITHMETIC.get(type(node.op), "?")
        if "?" in name:
            raise self.refused(node)
        return _FLOAT, self.new(f"{name} {_FAST}double {self.as_float(left)}, {self.as_float(right)}")

    def of_UnaryOp(self, node: ast.UnaryOp) -> tuple[str, str]:
        if isinstance(node.op, ast.Not):
            return _BOOL, self.new(f"xor i1 {self.truth(node.operand)}, true")
        if not isinstance(node.op, ast.USub):
            raise self.refused(node)
        kind, value = self.value(node.operand)
        return kind, self.new(f"fneg double {value}" if kind == _FLOAT else f"sub nsw i64 0, {value}")

    def of_Compare(self, node: ast.Compare) -> tuple[str, str]:
        if len(node.ops) != 1 or type(node.ops[0]) not in _COMPARE:
            raise self.refused(node)
        left, right = self.value(node.left), self.value(node.comparators[0])
        whole, real = _COMPARE[type(node.ops[0])]
        if left[0] == right[0] == _INT:
            return _BOOL, self.new(f"icmp {whole} i64 {left[1]}, {right[1]}")
        return _BOOL, self.new(f"fcmp {real} double {self.as_float(left)}, {self.as_float(right)}")

    def of_BoolOp(self, node: ast.BoolOp) -> tuple[str, str]:
        conjunction = isinstance(node.op, ast.And)
        value = self.truth(node.values[0])
        for other in node.values[1:]:
            if not _loads(other):
                value = self.new(f"{'and' if conjunction else 'or'} i1 {value}, {self.truth(other)}")
                continue
            before, more, end = self.block, self.label("more"), self.label("end")
            self.branch(value, *((more, end) if conjunction else (end, more)))
            self.start(more)
            second = self.truth(other)
            after = self.block
            self.jump(end)
            self.start(end)
            short = "false" if conjunction else "true"
            value = self.new(f"phi i1 [ {short}, %{before} ], [ {second}, %{after} ]")
        return _BOOL, value

    def of_IfExp(self, node: ast.IfExp) -> tuple[str, str]:
        if _loads(node.body) or _loads(node.orelse):
            raise TypeError(f"{self.where(node)}: load values before choosing between them")
        chosen = self.truth(node.test)
        then, other = self.value(node.body), self.value(node.orelse)
        kind = then[0] if then[0] == other[0] else _FLOAT
        a, b = (then[1], other[1]) if kind == then[0] == other[0] else (self.as_float(then), self.as_float(other))
        return kind, self.new(f"select i1 {chosen}, {kind} {a}, {kind} {b}")

    def of_Call(self, node: ast.Call) -> tuple[str, str]:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if len(node.args) != 1 or node.keywords or name not in ("float", "int", "sqrt"):
            raise self.refused(node)
        value = self.value(node.args[0])
        if name == "int":
            return value if value[0] == _INT else (_INT, self.new(f"fptosi double {value[1]} to i64"))
        number = self.as_float(value)
        return _FLOAT, self.new(f"call double @llvm.sqrt.f64(double {number})") if name == "sqrt" else number

    def truth(self, node: ast.expr) -> str:
        kind, value = self.value(node)
        if kind == _BOOL:
            return value
        return self.new(f"icmp ne i64 {value}, 0" if kind == _INT else f"fcmp une double {value}, 0.0")

    def address(self, node: ast.Subscript) -> tuple[str, str]:
        name = node.value.id if isinstance(node.value, ast.Name) else ""
        if name not in self.pointers:
            raise self.refused(node)
        element = self.pointers[name]
        index = self.as_int(node.slice)
        return element, self.new(f"getelementptr inbounds {element}, ptr %p.{name}, i64 {index}")

    def as_int(self, node: ast.expr) -> str:
        kind, value = self.value(node)
        if kind != _INT:
            raise TypeError(f"{self.where(node)}: expected a whole number")
        return value

    def as_float(self, value: tuple[str, str]) -> str:
        if value[0] == _FLOAT:
            return value[1]
        return self.new(f"{'sitofp' if value[0] == _INT else 'uitofp'} {value[0]} {value[1]} to double")

    # text

    def emit(self, line: str) -> None:
        self.lines.append(line)

    def new(self, line: str) -> str:
        self.count += 1
        self.emit(f"%t{self.count} = {line}")
        return f"%t{self.count}"

    def label(self, name: str) -> str:
        self.count += 1
        return f"{name}{self.count}"

    def start(self, label: str) -> None:
        self.lines.append(f"{label}:")
        self.block = label

    def jump(self, label: str) -> None:
        self.emit(f"br label %{label}")

    def branch(self, condition: str, then: str, other: str) -> None:
        self.emit(f"br i1 {condition}, label %{then}, label %{other}")

    def where(self, node: ast.AST) -> str:
        return f"{self.tree.name}, line {getattr(node, 'lineno', '?')}"

    def refused(self, node: ast.AST) -> TypeError:
        return TypeError(f"{self.where(node)}: cannot translate {ast.unparse(node)!r}")


def _loads(node: ast.expr) -> bool:
    return any(isinstance(n, ast.Subscript) for n in ast.walk(node))


def _float(value: float) -> str:
    return f"0x{struct.unpack('>Q', struct.pack('>d', value))[0]:016X}"
