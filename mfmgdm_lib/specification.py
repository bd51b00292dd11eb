"""Objects described by the name of their class and its arguments as plain values, and built again from that."""

from __future__ import annotations

import ast
import inspect
from abc import ABC
from collections.abc import Collection, Mapping, MutableMapping
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from mfmgdm_lib._arguments import checked

__all__ = ["arguments_of", "from_spec", "parse", "register", "spec"]

T = TypeVar("T")

_DTYPES = {"float64": torch.float64, "float32": torch.float32, "int64": torch.int64, "bool": torch.bool}

_LONGEST_SPELLING = 10_000
"""Characters of a spelling that `parse` looks at."""


class _Known(NamedTuple):
    """What a name stands for."""

    value: Any
    """A class, or a single object."""
    arguments: tuple[str, ...]
    """What the class is built with; attributes of the same names hold it."""
    spread: str | None
    """The argument that takes any number of values, such as `*energies`."""


_KNOWN: dict[str, _Known] = {}


def register(value: T, name: str | None = None, arguments: Collection[str] | None = None) -> T:
    """Let objects of a class be described and built again, so that they can be saved with a flow.

    By default the arguments are those of the constructor, each of which the object has to keep in an attribute of the
    same name. Nothing is built from a file but what is registered.

    Args:
        value: a class; or a single object, such as the support of a process, that is known by its name alone.
        name: what files call it; None for the class's own name.
        arguments: arguments of the constructor, where not all or other than its signature says.

    Returns:
        The value, so that `register` can decorate a class.

    Raises:
        ValueError: a name that another class has.
        TypeError: a constructor whose signature does not name its arguments.

    Example:
        >>> import mfmgdm_lib as mm
        >>> @mm.register
        ... class Noise(mm.processes.WhiteNoise):
        ...     pass
        >>> mm.spec(Noise(stddev=2.0))
        {'type': 'Noise', 'mean': 0.0, 'stddev': 2.0}
        >>> mm.from_spec({"type": "Noise", "stddev": 2.0})
        WhiteNoise(mean=0, stddev=2)
    """
    if name is None:
        if not isinstance(value, type):
            raise TypeError(f"name is None for {value!r}; expected a name for an object. Pass one.")
        name = value.__name__
    known = _KNOWN.get(name)
    if known is not None and _identity(known.value) != _identity(value):
        raise ValueError(
            f"{name} is the name of {known.value!r}; expected another one for {value!r}. Pass name='…' with it."
        )
    names, spread = _parameters(value, arguments) if isinstance(value, type) else ((), None)
    _KNOWN[name] = _Known(value, names, spread)
    return value


def _identity(value: object) -> object:
    """What two values under one name have in common: a class may be defined anew, as when a cell is run again."""
    return (value.__module__, value.__qualname__) if isinstance(value, type) else id(value)


def _parameters(cls: type, arguments: Collection[str] | None) -> tuple[tuple[str, ...], str | None]:
    """Names of the arguments that a class is built with, and of the one among them that takes any number of values."""
    if arguments is not None:
        return tuple(arguments), None
    parameters = inspect.signature(cls).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        raise TypeError(
            f"{cls.__name__} takes any keywords; expected a constructor that names its arguments. Pass those that it is"
            " built with: register(cls, arguments=('…',))."
        )
    spread = [parameter.name for parameter in parameters if parameter.kind is parameter.VAR_POSITIONAL]
    return tuple(parameter.name for parameter in parameters), spread[0] if spread else None


# --- describing ------------------------------------------------------------------------------------------------------


@checked
def spec(
    obj: object, arrays: MutableMapping[str, np.ndarray] | None = None, *, without: Collection[str] = ()
) -> dict[str, Any]:
    """Describe an object: {"type": the registered name of its class, and its arguments}.

    What is None by default is left out. Other arguments are numbers, text, sequences of them (which come back as
    tuples), tensors, or such objects themselves. NumPy arrays are sequences of numbers.

    Args:
        obj: an object of a registered class.
        arrays: where tensors are put, by the way to them, such as "energy.matrix"; None writes out their numbers.
        without: arguments of the object that are left out.

    Returns:
        What `json` can write, and `from_spec` builds an equal object from.

    Raises:
        TypeError: an object, or a part of it, of a class that is not registered, or without an attribute for an
            argument.

    Example:
        >>> import mfmgdm_lib as mm
        >>> mm.spec(mm.energies.Concatenate(mm.energies.Autocovariance(), mm.energies.StylizedFacts(lags=2)))
        {'type': 'Concatenate', 'energies': [{'type': 'Autocovariance'}, {'type': 'StylizedFacts', 'lags': 2}]}
    """
    return _describe(obj, arrays, "", without)


def _describe(
    obj: object, arrays: MutableMapping[str, np.ndarray] | None, way: str, without: Collection[str] = ()
) -> dict[str, Any]:
    single = (name for name, known in _KNOWN.items() if not isinstance(known.value, type) and known.value == obj)
    name = next(single, None) or next((name for name, known in _KNOWN.items() if known.value is type(obj)), None)
    if name is None:
        own = type(obj).__name__
        raise TypeError(
            f"{way.removesuffix('.') or 'the object'} is {obj!r} of the class {own}; expected one that is registered:"
            f" {_names(*type(obj).__mro__)}. Register its class first: mm.register({own})."
        )
    names = [argument for argument in _KNOWN[name].arguments if argument not in without]
    return {"type": name, **_arguments(obj, names, arrays, way)}


def arguments_of(obj: object) -> dict[str, Any]:
    """The arguments of an object as `spec` writes them; its own class need not be registered.

    Where an argument has got another name, a mapping `former_names` of the class keeps the one that files have.
    """
    found = _arguments(obj, _parameters(type(obj), None)[0], None, "")
    former: Mapping[str, str] = getattr(obj, "former_names", {})
    return {former.get(name, name): value for name, value in found.items()}


def _arguments(
    obj: object, names: Collection[str], arrays: MutableMapping[str, np.ndarray] | None, way: str
) -> dict[str, Any]:
    found, parameters = {}, inspect.signature(type(obj)).parameters
    for name in names:
        if not hasattr(obj, name):
            raise TypeError(
                f"{type(obj).__name__} has no attribute {name!r}; expected one for every argument that it is built"
                f" with. Keep it as self.{name}, or register the class with the arguments that it needs."
            )
        value = getattr(obj, name)
        # A None by default is left out, so that an argument may be added to a class later.
        if value is not None or (name in parameters and parameters[name].default is not None):
            found[name] = _plain(value, arrays, f"{way}{name}")
    return found


def _plain(value: Any, arrays: MutableMapping[str, np.ndarray] | None, way: str) -> Any:
    """A value as `json` can write it."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(part, arrays, f"{way}.{place}") for place, part in enumerate(value)]
    if not isinstance(value, Tensor):
        return _describe(value, arrays, f"{way}.")
    array = value.detach().cpu().numpy()
    if arrays is None:
        return {"array": array.ravel().tolist(), "shape": list(array.shape), "dtype": array.dtype.name}
    arrays[way] = array
    return {"array": way}


def _names(*kinds: type) -> str:
    """Registered names, of the classes that have one of these above them, where any has."""
    wanted = {kind for kind in kinds if kind not in (object, ABC)}
    alike = [n for n, known in _KNOWN.items() if isinstance(known.value, type) and wanted & {*known.value.__mro__}]
    return ", ".join(sorted(alike or _KNOWN))


# --- building --------------------------------------------------------------------------------------------------------


def from_spec(
    description: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None, *, kind: type[T] | None = None
) -> T:
    """Build the object that `spec` has described. Only registered classes are built, from the arguments they name.

    Args:
        description: what `spec` returned, or `json` has read. Arguments may also be objects already.
        arrays: the tensors that `spec` has put there.
        kind: a class that the object has to belong to.

    Raises:
        ValueError: another type than those registered, arguments that it does not take, or an object of another kind.

    Example:
        >>> import mfmgdm_lib as mm
        >>> mm.from_spec({"type": "AR", "coefficients": [0.1]})
        AR([0.1], innovation_std=0.994987)
    """
    if not (kind is None or isinstance(kind, type)):
        raise TypeError(f"kind is a {type(kind).__name__}; expected a class. Pass the class, not an object of it.")
    name = description.get("type") if isinstance(description, Mapping) else None
    known = _KNOWN.get(name) if isinstance(name, str) else None
    if known is None:
        raise ValueError(
            f"type is {name!r}; expected one of {_names(*filter(None, [kind]))}. Register a class"
            " of your own first, with mm.register."
        )
    if extra := sorted(description.keys() - {"type", *known.arguments}):
        raise ValueError(
            f"{name} is described with {', '.join(extra)}; expected its arguments"
            f" {', '.join(known.arguments) or '(none)'}. Leave the others out."
        )
    built = known.value
    if isinstance(built, type):
        values = {key: _value(value, arrays) for key, value in description.items() if key != "type"}
        try:
            built = built(*values.pop(known.spread or "", ()), **values)
        except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, RuntimeError) as error:
            raise ValueError(f"{name} cannot be built from its description ({error}). Describe it again.") from error
    if kind is not None and not isinstance(built, kind):
        raise ValueError(f"type is {name}; expected one of {_names(kind)}. Describe one of those.")
    return built


def _value(value: Any, arrays: Mapping[str, np.ndarray] | None) -> Any:
    """The argument that `_plain` was given."""
    if isinstance(value, (list, tuple)):
        return tuple(_value(part, arrays) for part in value)
    if not isinstance(value, Mapping):
        return value
    if "array" not in value:
        return from_spec(value, arrays)
    try:
        if isinstance(value["array"], str):
            return torch.from_numpy((arrays or {})[value["array"]])
        return torch.tensor(value["array"], dtype=_DTYPES[value["dtype"]]).reshape(value["shape"])
    except (LookupError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"a tensor is described by {value!r}, which is not there or none ({error!r}).") from error


def parse(text: str) -> dict[str, Any]:
    """Describe an object by the call that builds it, as its `repr` spells it; nothing is executed.

    Args:
        text: the name of a registered class, and arguments that are literals or such calls themselves.

    Raises:
        ValueError: anything else.

    Example:
        >>> import mfmgdm_lib as mm
        >>> parse("ScatteringMean(1024, wavelets=(4, 6))")
        {'type': 'ScatteringMean', 'length': 1024, 'wavelets': (4, 6)}
    """
    try:
        if len(text) > _LONGEST_SPELLING:
            raise ValueError(f"it has {len(text)} characters")
        call = ast.parse(text, mode="eval").body
        if not isinstance(call, ast.Call):
            raise ValueError("it is none")
        description: dict[str, Any] = _value_of(call)
        return description
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(
            f"{text[:200]} is no call that can be read ({error}); expected a registered class with plain arguments,"
            f" such as StylizedFacts(lags=20). The classes are: {_names()}."
        ) from error


def _value_of(node: ast.expr) -> Any:
    if not isinstance(node, ast.Call):
        return ast.literal_eval(node)
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    known = _KNOWN.get(name)
    if known is None or not isinstance(known.value, type):
        raise ValueError("of no registered class")
    given = {str(keyword.arg): _value_of(keyword.value) for keyword in node.keywords}
    bound = inspect.signature(known.value).bind(*map(_value_of, node.args), **given)
    return {"type": name, **bound.arguments}
