"""A decorator that holds arguments against their annotations before a function is called."""

from __future__ import annotations

import builtins
import functools
import inspect
import os
import types
import typing
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

__all__ = ["checked"]

T = TypeVar("T")

_Check = Callable[[Any], bool]


def checked(value: T) -> T:
    """Let a function, or the constructor and methods of a class, refuse arguments of another type than annotated.

    Objects of classes, tensors, mappings and functions are looked at; numbers, text and sequences are left to the
    function, which knows their range, and so is what a mapping holds. Names that are imported for type checkers alone
    are compared with the names of the classes of the value.

    Args:
        value: a function or a class; of a class, what it defines itself.

    Example:
        >>> @checked
        ... def total(values: Mapping[str, int]) -> int:
        ...     return sum(values.values())
        >>> total([1, 2])
        Traceback (most recent call last):
        TypeError: values is [1, 2] (list); expected a mapping. Use a dict.
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
    def checks() -> dict[str, tuple[_Check, str]]:  # when it is first called, as annotations may name what comes later
        return {one.name: found for one in parameters if (found := _check_of(one, inspect.unwrap(function)))}

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        found = checks()
        for place, value in enumerate(args):
            name = positional[place] if place < len(positional) else rest
            if name in found:
                _hold(name, value, *found[name])
        for name, value in kwargs.items():
            if name in found:
                _hold(name, value, *found[name])
        return function(*args, **kwargs)

    return call


def _hold(name: str, value: Any, check: _Check, expected: str) -> None:
    if not check(value):
        kind = type(value).__name__
        shown = expected is _TENSOR or hasattr(value, "shape") or len(repr(value)) > 80
        raise TypeError(f"{name} is {f'a {kind}' if shown else f'{value!r} ({kind})'}; expected {expected}")


class _Absent(type):
    """Stands for a class that is imported for type checkers alone; its objects are known by its name."""

    def __instancecheck__(cls, value: object) -> bool:
        return any(kind.__name__ == cls.__name__ for kind in type(value).__mro__)

    def __getattr__(cls, name: str) -> type:
        if name.startswith("_"):
            raise AttributeError(name)
        return _Absent(name, (), {})

    def __getitem__(cls, item: object) -> type:
        return cls


def _check_of(parameter: inspect.Parameter, function: Callable[..., Any]) -> tuple[_Check, str] | None:
    annotation, absent = parameter.annotation, dict[str, Any]()
    while isinstance(annotation, str):
        try:
            annotation = eval(annotation, function.__globals__, absent)
        except NameError as error:
            absent[str(error.name)] = getattr(builtins, str(error.name), _Absent(str(error.name), (), {}))
    if annotation is parameter.empty:
        return None
    return _check(annotation)


_TENSOR = "a dense torch.Tensor that has numbers. Use torch.as_tensor(...) first."

_UNSEEN = (
    int,
    float,
    bool,
    str,
    tuple,
    list,
    set,
    os.PathLike,
    Sequence,
    Iterable,
    Container,
    Collection,
    typing.Literal,
)
"""What is left to the function, which knows more of it, such as in which range a number has to be."""

_KINDS: dict[Any, tuple[_Check, str]] = {
    Tensor: (
        lambda value: isinstance(value, Tensor) and value.layout is torch.strided and not value.is_meta,
        _TENSOR,
    ),
    Mapping: (lambda value: isinstance(value, Mapping), "a mapping. Use a dict."),
    Callable: (callable, "a function. Pass one."),
}


def _check(annotation: Any) -> tuple[_Check, str] | None:
    """Whether a value is of an annotation, and what is expected in words; None where nothing can be told."""
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        parts = [_check(one) for one in typing.get_args(annotation)]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        mend = known[0][1] if known[-1][1].startswith("None") else known[-1][1]
        words = [part[1].split(". ")[0].rstrip(".") for part in known]
        return lambda value: any(part[0](value) for part in known), f"{' or '.join(words)}.{mend.partition('.')[2]}"
    if annotation is None or annotation is types.NoneType:
        return lambda value: value is None, "None."
    kind = origin or annotation
    if kind is Any or kind in _UNSEEN:
        return None
    if isinstance(kind, type) and issubclass(kind, Mapping):
        kind = Mapping
    if kind in _KINDS:
        return _KINDS[kind]
    if kind is type:
        return lambda value: isinstance(value, type), "a class. Pass the class, not an object of it."
    if getattr(kind, "_is_protocol", False):
        wanted = {name for base in kind.__mro__ if getattr(base, "_is_protocol", False) for name in _members(base)}
        return lambda value: not isinstance(value, type) and all(hasattr(value, name) for name in wanted), (
            f"an object with {', '.join(sorted(wanted))}, as {kind.__name__} says. Pass one."
        )
    if not isinstance(kind, type) or kind is object or kind.__module__ == "torch.distributions.constraints":
        return None
    article = "an" if kind.__name__[0] in "AEIOU" else "a"
    return lambda value: isinstance(value, kind), f"{article} {kind.__name__}. Pass an object of that class."


def _members(protocol: type) -> set[str]:
    named = {*vars(protocol), *vars(protocol).get("__annotations__", {})}
    return {name for name in named if not name.startswith("_")}
