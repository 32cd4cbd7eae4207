"""The language: precedence, arguments, what is refused and where the message points."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnb.errors import ExpressionError
from qnb.expr.nodes import Call, Field, Node, Number, Text, fields_of, to_text
from qnb.expr.parse import MAX_DEPTH, parse


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("$close", "$close"),
        ("$close+$open*2", "Add($close,Mul($open,2))"),
        ("($close+$open)*2", "Mul(Add($close,$open),2)"),
        ("$a-$b-$c", "Sub(Sub($a,$b),$c)"),
        ("$a/$b/$c", "Div(Div($a,$b),$c)"),
        ("$a**$b**$c", "Power($a,Power($b,$c))"),
        ("-$a**2", "Neg(Power($a,2))"),
        ("$a**-2", "Power($a,-2)"),
        ("2*-$a", "Mul(2,Neg($a))"),
        ("$a>1|$b", "Gt($a,Or(1,$b))"),
        ("($a>1)|($b>1)&($c>1)", "Or(Gt($a,1),And(Gt($b,1),Gt($c,1)))"),
        ("~($a>1)&($b>1)", "And(Not(Gt($a,1)),Gt($b,1))"),
        ("Mean($close, 5*2)", "Mean($close,10)"),
        ("Ref($close, -(1+1))", "Ref($close,-2)"),
        ("Mean($close,N=5)", "Mean($close,5)"),
        ("Quantile(N=5, qscore=0.8, feature=$close)", "Quantile($close,5,0.8)"),
        ("Cut($close, right=-3)", "Cut($close,None,-3)"),
        ("Mask($close,'SH000300')", 'Mask($close,"SH000300")'),
        ("P($$roewa_q)", "P($$roewa_q)"),
        ("1e-12+$x", "Add(1e-12,$x)"),
        (" $close\n+ 1 ", "Add($close,1)"),
        ("$close5", "$close5"),
        ("$净利润（万）", "$净利润（万）"),
        ("+$close", "$close"),
    ],
)
def test_text_is_read_with_pythons_precedence(text: str, canonical: str) -> None:
    if "Or(1" in canonical:  # | binds tighter than >, as in Python; the number is refused
        with pytest.raises(ExpressionError, match="argument 'feature_left' must be an expression"):
            parse(text)
        return
    assert to_text(parse(text)) == canonical
    assert parse(canonical) == parse(text)


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("", 1, "empty"),
        ("   ", 4, "empty"),
        ("Mean($close", 12, "not closed"),
        ("Mean($close,5", 14, "not closed"),
        ("Mena($close,5)", 1, "did you mean Mean"),
        ("1+Mena($close,5)", 3, "did you mean Mean"),
        ("$close >", 9, "too early"),
        ("Mean($close,5,6)", 1, "takes 2 arguments, received 3"),
        ("Mean($close)", 1, "argument 'N' is missing"),
        ("Mean($close,n=5)", 1, "did you mean 'N'"),
        ("Mean($close,5,N=5)", 17, "given twice"),
        ("Mean(5,5)", 6, "must be an expression"),
        ("Mean($close,$open)", 13, "must be a number"),
        ("Mean($close,-3)", 13, "must be a whole number of rows"),
        ("Mean($close,2.5)", 13, "must be a whole number of rows"),
        ("Ref($close,1.5)", 12, "must be a whole number"),
        ("IdxMax($close,0.5)", 1, "whole number of rows"),
        ("Skew($close,2)", 1, "at least 3 rows"),
        ("Quantile($close,5,2)", 1, "between 0 and 1"),
        ("Cut($close,-1)", 1, "left must be above 0"),
        ("$close and $open", 8, "write &"),
        ("$a < $b < $c", 9, "cannot be chained"),
        ("close", 1, r"a field is written \$close"),
        ("Mean", 1, r"write Mean\(...\)"),
        ("$", 1, "name is missing"),
        ("'text'", 1, "text alone is no expression"),
        ("1+2", 1, "number alone is no expression"),
        ("$close ? 1", 8, "unexpected '\\?'"),
        ("$close[1]", 7, r"write Ref\(\$x, n\)"),
        ("$close.x", 7, "no attributes"),
        ("$close = 1", 8, "write =="),
        ("$close // 2", 8, "write /"),
        ("$close $open", 8, "unexpected"),
        ("1/0*$close", 2, "division by zero"),
        ("2**99999*$close", 2, "Power of these numbers"),
        ("(-8)**0.5*$close", 5, "Power of these numbers"),
        ("Ref($close,99999999999)", 12, "more than any calendar has"),
        ("Mean($close,5))", 15, "unexpected"),
        ("Mask($close,5)", 13, "text in quotes"),
        ("TResample($close,'X','sum')", 1, "no period 'X'"),
        ("__import__('os')", 1, "unknown operator"),
    ],
)
def test_an_error_points_at_the_column(text: str, column: int, words: str) -> None:
    with pytest.raises(ExpressionError, match=words) as caught:
        parse(text)
    assert caught.value.column == column
    assert caught.value.text == text


def test_nesting_has_a_bound() -> None:
    deep = "(" * (MAX_DEPTH * 50) + "$x" + ")" * (MAX_DEPTH * 50)
    with pytest.raises(ExpressionError, match="deep"):
        parse(deep)
    with pytest.raises(ExpressionError, match="deep"):
        parse("-" * 5000 + "$x")
    assert parse("(" * 50 + "$x" + ")" * 50) == Field("x")


def test_a_long_sum_is_no_deep_nesting() -> None:
    assert fields_of(parse("+".join(["$x"] * 500))) == ("x",)


def test_nodes_compare_by_content_not_by_column() -> None:
    assert parse("Mean($close,5)") == parse("  Mean( $close , 5 )")


def trees() -> st.SearchStrategy[Node]:
    names = st.sampled_from(["close", "open", "volume", "净利润"])
    leaves = st.builds(Field, names)
    numbers = st.builds(Number, st.integers(-1000, 1000) | st.floats(allow_nan=False, allow_infinity=False, width=32))

    def grow(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
        pair = st.sampled_from(["Add", "Sub", "Mul", "Div", "Power", "Greater", "Gt", "Eq"])
        return st.one_of(
            st.builds(lambda o, a, b: Call(o, (a, b)), pair, inner, inner | numbers),
            st.builds(lambda o, a, b: Call(o, (b, a)), pair, inner, numbers),
            st.builds(lambda o, a: Call(o, (a,)), st.sampled_from(["Abs", "Log", "Neg", "Sign"]), inner),
            st.builds(
                lambda o, a, n: Call(o, (a, Number(n))),
                st.sampled_from(["Mean", "Std", "Rank", "EMA"]),
                inner,
                st.integers(0, 60),
            ),
            st.builds(lambda a, n: Call("Ref", (a, Number(n))), inner, st.integers(-60, 60)),
            st.builds(
                lambda a, t: Call("Mask", (a, Text(t))), inner, st.text(min_size=1).filter(lambda t: "\\" not in t)
            ),
        )

    return st.recursive(leaves, grow, max_leaves=12)


@given(trees())
@settings(max_examples=200, deadline=None)
def test_what_is_printed_is_read_back(tree: Node) -> None:
    assert parse(to_text(tree)) == tree


@given(st.text(max_size=60))
@settings(max_examples=400, deadline=None)
def test_no_text_does_anything_but_parse_or_be_refused(text: str) -> None:
    found = None
    try:
        parse(text)
    except ExpressionError as error:
        found = error
    assert found is None or (1 <= found.column <= len(text) + 1 and str(found))


WORDS = ["Mean", "Ref", "(", ")", ",", "$close", "5", "-", "**", ">", "&", "'a'", "=", "N", " "]


@given(st.lists(st.sampled_from(WORDS)))
@settings(max_examples=400, deadline=None)
def test_no_jumble_of_words_does_anything_but_parse_or_be_refused(words: list[str]) -> None:
    with suppress(ExpressionError):
        parse("".join(words))
