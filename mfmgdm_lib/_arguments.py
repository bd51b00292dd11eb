"""A decorator that holds arguments against their annotations before a function is called."""

from __future__ import annotations

import functools
import inspect
import os
import types
import typing
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

__all__ = ["checked"]

T = TypeVar("T")


class _Kind(NamedTuple):
    """What an annotation allows.

    Attributes:
        allows: whether a value is of it.
        words: what it is called in errors.
        mend: what to do about another value.
    """

    allows: Callable[[Any], bool]
    words: str
    mend: str


def checked(value: T) -> T:
    """Let a function, or the constructor and methods of a class, refuse arguments of another type than annotated.

    Objects of classes, text, tensors, mappings and functions are looked at, and arrays in the place of a number.
    The range of numbers and what is in sequences and mappings are left to the function. Annotations are read when a
    function is first called, so that those that name pandas load it no sooner; what is imported for type checkers alone
    is not looked at.

    Args:
        value: a function or a class; of a class, what it defines itself.

    Example:
        >>> @checked
        ... def total(values: Mapping[str, int]) -> int:
        ...     return sum(values.values())
        >>> total([1, 2])
        Traceback (most recent call last):
        TypeError: values is a list; expected a mapping. Use a dict.
    """
    if not isinstance(value, type):
        return typing.cast("T", _wrapped(typing.cast("Callable[..., Any]", value)))
    for name, member in list(vars(value).items()):
        if name.startswith("_") and name not in ("__init__", "__call__"):
            continue
        inner = member.__func__ if isinstance(member, (classmethod, staticmethod)) else member
        if inspect.isfunction(inner) and not getattr(inner, "__isabstractmethod__", False):
            wrapper = _wrapped(inner)
            setattr(value, name, wrapper if inner is member else type(member)(wrapper))
    return value


def _wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    parameters = inspect.signature(function).parameters.values()
    positional = [one.name for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    rest = next((one.name for one in parameters if one.kind is one.VAR_POSITIONAL), None)

    @functools.cache
    def kinds() -> dict[str, _Kind]:
        names = inspect.unwrap(function).__globals__
        return {one.name: kind for one in parameters if (kind := _kind(_read(one.annotation, names))) is not None}

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        known = kinds()
        for place, value in enumerate(args):
            name = positional[place] if place < len(positional) else rest
            if name in known:
                _check(name, value, known[name])
        for name, value in kwargs.items():
            if name in known:
                _check(name, value, known[name])
        return function(*args, **kwargs)

    return call


def _check(name: str, value: Any, kind: _Kind) -> None:
    if not kind.allows(value):
        found, short = type(value).__name__, isinstance(value, (str, int, float, complex, type, types.NoneType))
        what = f"{value!r:.80} ({found})" if short else f"a {found}"
        raise TypeError(f"{name} is {what}; expected {kind.words}. {kind.mend}")


def _read(annotation: Any, names: dict[str, Any]) -> Any:
    """What an annotation in the text of a module means; anything, where its names are there for type checkers alone."""
    one = types.SimpleNamespace(__annotations__={"it": Any if annotation is inspect.Parameter.empty else annotation})
    try:
        return typing.get_type_hints(one, names)["it"]
    except NameError:
        return Any


_LEFT_TO_FUNCTIONS = (object, tuple, list, set, Sequence, Iterable, typing.Literal, Any)
"""What a function knows more of, such as how many of what there have to be."""

_NUMBERS = {int: "a whole number", float: "a number that a float holds"}
"""Of these, arrays are refused here, which have no truth value, and what overflows; the function knows the range."""


def _is_single(value: Any) -> bool:
    return not getattr(value, "ndim", 0) and not (isinstance(value, int) and abs(value) > 1e308)


def _is_truth(value: Any) -> bool:
    return _is_single(value) and (not isinstance(value, (int, float)) or value in (0, 1))


def _is_in_a_row(value: Any) -> bool:
    return getattr(value, "ndim", 1) == 1 and not isinstance(value, bytes)


def _is_dense(value: Any) -> bool:
    return isinstance(value, Tensor) and value.layout is torch.strided and not value.is_meta


_OTHERS: dict[Any, _Kind] = {
    bool: _Kind(_is_truth, "True or False", "Pass one of them."),
    **{kind: _Kind(_is_single, words, "Pass a single one.") for kind, words in _NUMBERS.items()},
    **{
        kind: _Kind(lambda value: not isinstance(value, Tensor), "a collection", "Pass such as a tuple.")
        for kind in (Container, Collection)
    },
    Tensor: _Kind(_is_dense, "a torch.Tensor, dense and with numbers", "Use torch.as_tensor(...) first."),
    Callable: _Kind(callable, "a function", "Pass one."),
    type: _Kind(lambda value: isinstance(value, type), "a class", "Pass the class, not an object of it."),
    os.PathLike: _Kind(lambda value: isinstance(value, os.PathLike), "a pathlib.Path", "Pass one."),
    types.NoneType: _Kind(lambda value: value is None, "None", "Leave it out."),
}
"""What allows more, or less, than objects of a class."""


def _kind(annotation: Any) -> _Kind | None:
    """What an annotation allows; None where that is left to the function."""
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return _either(parts)
    if origin is Sequence or (origin is tuple and parts[1:] == (...,)):
        return _Kind(_is_in_a_row, "a sequence of numbers", "Pass such as a tuple.") if parts[0] in _NUMBERS else None
    kind = origin or annotation
    if isinstance(kind, TypeVar):
        return _either(kind.__constraints__ or (kind.__bound__ or Any,))
    return None if kind in _LEFT_TO_FUNCTIONS else _OTHERS.get(kind) or _of_class(kind)


def _of_class(kind: Any) -> _Kind | None:
    """Objects of a class, or of any that has the names of a protocol."""
    if not isinstance(kind, type) or kind.__module__ == "torch.distributions.constraints":
        return None  # a support is also known by its name, which the function says
    if issubclass(kind, Mapping):
        return _Kind(lambda value: isinstance(value, Mapping), "a mapping", "Use a dict.")
    if getattr(kind, "_is_protocol", False):
        return _of_protocol(kind)
    article = "an" if kind.__name__[0] in "AEIOU" else "a"
    return _Kind(lambda value: isinstance(value, kind), f"{article} {kind.__name__}", "Pass an object of that class.")


def _either(parts: Sequence[Any]) -> _Kind | None:
    """What one of several annotations allows; left to the function where one of them is."""
    known = [kind for part in parts if (kind := _kind(part)) is not None]
    named = {"a str"} < {part.words for part in known} - {"None", "a pathlib.Path"}  # the function knows which names
    if len(known) < len(parts) or named:
        return None
    words = " or ".join(part.words for part in known)
    return _Kind(lambda value: any(part.allows(value) for part in known), words, known[0].mend)


def _of_protocol(kind: type) -> _Kind:
    """An object with the names of a protocol, whatever its class."""
    bases = [base for base in kind.__mro__ if getattr(base, "_is_protocol", False)]
    named = {name for base in bases for name in (*vars(base), *vars(base).get("__annotations__", {}))}
    wanted = {name for name in named if not name.startswith("_")}
    return _Kind(
        lambda value: not isinstance(value, type) and all(hasattr(value, name) for name in wanted),
        f"an object with {', '.join(sorted(wanted))}",
        f"Pass a {kind.__name__}.",
    )
