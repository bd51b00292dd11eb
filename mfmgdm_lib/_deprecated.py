"""Former spellings of arguments, which work for one release with a warning."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

__all__ = ["renamed"]

F = TypeVar("F", bound=Callable[..., Any])


def renamed(groups: Mapping[str, Callable[..., Any]] | None = None, /, **names: str) -> Callable[[F], F]:
    """Let a function, or a class, take former spellings of its keyword arguments.

    Args:
        groups: arguments that are objects now, and how they are made of their fields.
        names: what each former argument is called now; "group.field" where it is a field of such an object.

    Example:
        >>> @renamed({"box": dict}, old="new", wide="box.width")
        ... def function(new, box=None):
        ...     return new, box
        >>> with warnings.catch_warnings(record=True) as said:
        ...     warnings.simplefilter("always")
        ...     function(old=1, wide=2)
        (1, {'width': 2})
        >>> [str(warning.message) for warning in said]
        ['function: old is now new', "function: wide is now box's width"]
    """

    def decorate(function: Any) -> Any:
        if isinstance(function, type):
            function.__init__ = decorate(function.__init__)  # type: ignore[misc]
            return function

        title = function.__qualname__.removesuffix(".__init__")

        @functools.wraps(function)
        def call(*args: Any, **options: Any) -> Any:
            fields: dict[str, dict[str, Any]] = {}
            for name in [name for name in options if name in names]:
                now, _, field = names[name].partition(".")
                called = f"{now}'s {field}" if field else now
                warnings.warn(f"{title}: {name} is now {called}", DeprecationWarning, stacklevel=2)
                if now in options:
                    raise TypeError(f"{title} has {name} and {now}; expected one spelling. Leave {name} out.")
                value = options.pop(name)
                if field:
                    fields.setdefault(now, {})[field] = value
                else:
                    options[now] = value
            made = {name: (groups or {})[name](**of) for name, of in fields.items()}
            return function(*args, **options, **made)

        return call

    return decorate
