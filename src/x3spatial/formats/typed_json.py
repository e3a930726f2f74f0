"""Frozen dataclasses as JSON objects: encoding and decoding, derived from the fields.

The key of a field is its name unless its metadata differs (``named``, ``LEFT_OUT``). A field with a default
may be missing in the input. Supported types: ``str``, ``int``, ``float``, ``bool``, unions of them, ``None``,
``Literal``, tuples (JSON arrays), ``dict[str, X]``, ``Any`` and other dataclasses.
"""

from __future__ import annotations

import json
import math
import re
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")
Decoder = Callable[[Any], Any]
Json = dict[str, Any]

_DEEPEST = 100
"""Levels of a value of type ``Any``; those that are written have fewer than ten."""

LEFT_OUT: Mapping[str, Any] = {"left_out": True}
"""Metadata of a field that is omitted if it has its default value."""


def named(key: str) -> Mapping[str, Any]:
    """Metadata of a field whose JSON key differs from its name."""
    return {"key": key}


def described(*, always: bool = True, **schema: Any) -> Mapping[str, Any]:
    """Metadata of a field with further JSON Schema keywords, such as ``minimum=0``.

    ``always`` False: the field is written, but the schema does not require it, because older files lack it.
    """
    return {"schema": schema, "always": always}


class Malformed(ValueError):
    """A JSON value that does not match its dataclass."""

    def __init__(self, reason: str, *keys: str) -> None:
        super().__init__(reason, *keys)
        self.reason = reason
        self.keys = list(keys)
        """Path of the invalid value, outermost key first."""

    def __str__(self) -> str:
        return f"{'.'.join(self.keys)!r} {self.reason}" if self.keys else self.reason


@dataclass(frozen=True, slots=True)
class StoredField:
    """How one field of a dataclass is stored."""

    name: str
    key: str
    type: Any
    left_out: bool
    """Whether it is omitted if it has its default value."""
    required: bool
    """Whether the schema requires it."""
    has_default: bool
    default: Any
    decode: Decoder
    schema: Mapping[str, Any]


@cache
def stored_fields(cls: Any) -> tuple[StoredField, ...]:
    """The fields of a dataclass, in order of output."""
    hints = get_type_hints(cls)
    return tuple(_stored_field(one, hints[one.name]) for one in fields(cls))


def _stored_field(one: Field[Any], hint: Any) -> StoredField:
    has_factory = one.default_factory is not MISSING
    default = one.default_factory() if one.default_factory is not MISSING else one.default
    left_out = one.metadata.get("left_out", False)
    return StoredField(
        name=one.name,
        key=one.metadata.get("key", one.name),
        type=hint,
        left_out=left_out,
        required=one.metadata.get("always", not left_out),
        has_default=has_factory or one.default is not MISSING,
        default=default,
        decode=_decoder(hint),
        schema=one.metadata.get("schema", {}),
    )


def encode(value: Any) -> Any:
    """Convert a dataclass, or a value of a supported type, to JSON values.

    Raises:
        TypeError: the type is not supported.
    """
    if type(value) in _SCALARS:
        return value
    if isinstance(value, Mapping):
        return {key: encode(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [encode(part) for part in value]
    if not is_dataclass(value):
        if isinstance(value, str | int | float):  # a subclass, such as numpy's float64
            return value
        raise TypeError(f"cannot store a {type(value).__name__}")
    cls: Any = type(value)
    found = {}
    for one in stored_fields(cls):
        part = getattr(value, one.name)
        if not (one.left_out and part == one.default):
            found[one.key] = part if type(part) in _SCALARS else encode(part)
    return found


_SCALARS = frozenset({type(None), str, int, float, bool})


def finite(value: Any) -> Any:
    """Replace NaN and infinities in a JSON value by None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    return value


# Control characters of Latin-1, lone surrogates and line separators are legal in JSON, but not in every
# encoding, and a terminal obeys some of them. json.dumps escapes the others.
_UNSAFE = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def document(value: Any) -> str:
    """A JSON value as an indented text that any terminal and encoding takes; NaN and infinities are null."""
    text = json.dumps(finite(value), indent=2, ensure_ascii=False, allow_nan=False, default=str)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def decode(cls: type[T], value: Any) -> T:
    """Convert a JSON value to the dataclass ``cls``; unknown keys are ignored.

    Raises:
        Malformed: a field is missing or has the wrong type; the message names it.
    """
    if not isinstance(value, dict):
        raise Malformed("is not an object")
    kind: Any = cls
    arguments = {}
    for one in stored_fields(kind):
        if one.key not in value:
            if one.has_default:
                continue
            raise Malformed("is missing", one.key)
        try:
            arguments[one.name] = one.decode(value[one.key])
        except Malformed as error:
            error.keys.insert(0, one.key)
            raise
    return cls(**arguments)


def _decoder(hint: Any) -> Decoder:
    """The function that converts a JSON value to type ``hint`` or raises ``Malformed``."""
    if hint is Any:
        return _any
    if is_dataclass(hint):
        return lambda value: decode(cast(type, hint), value)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _union_decoder(arguments)
    if origin is Literal:
        return _literal_decoder(arguments)
    if origin is tuple:
        return _tuple_decoder(arguments)
    if origin is dict:
        return _dict_decoder(arguments[1])
    return _DECODERS[hint]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Malformed("is not a text")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Malformed("is not valid Unicode") from None
    return value


def _any(value: Any, depth: int = 0) -> Any:
    """A JSON value that can be written again: finite, valid Unicode, and not nested absurdly."""
    if depth > _DEEPEST:
        raise Malformed("is nested too deep")
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, dict):
        for key, part in value.items():
            _text(key)
            _any(part, depth + 1)
    elif isinstance(value, list):
        for part in value:
            _any(part, depth + 1)
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Malformed("is neither true nor false")
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Malformed("is not a whole number")
    return value


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise Malformed("is not a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Malformed("is not a finite number")
    return number


_DECODERS: dict[Any, Decoder] = {str: _text, bool: _flag, int: _whole, float: _number}


def _union_decoder(options: tuple[Any, ...]) -> Decoder:
    optional = type(None) in options
    rest = [option for option in options if option is not type(None)]
    if len(rest) == 1:
        inner = _decoder(rest[0])
        return lambda value: None if value is None else inner(value)
    if not set(rest) <= _DECODERS.keys():
        raise TypeError(f"no decoder for a union of {rest}")

    def scalar(value: Any) -> Any:
        if value is None and optional:
            return None
        # Returned unconverted: 1 and 1.0 are encoded differently.
        kind = type(value)
        if kind not in rest:
            names = " or ".join(option.__name__ for option in rest)
            raise Malformed(f"is not of type {names}")
        _DECODERS[kind](value)
        return value

    return scalar


def _literal_decoder(choices: tuple[Any, ...]) -> Decoder:
    def choice(value: Any) -> Any:
        if value not in choices:
            text = repr(value)
            shown = text if len(text) <= 80 else f"{text[:77]}..."
            raise Malformed(f"is {shown}, not one of {', '.join(map(repr, choices))}")
        return value

    return choice


def _tuple_decoder(arguments: tuple[Any, ...]) -> Decoder:
    if arguments[-1] is ...:
        inner = _decoder(arguments[0])

        def several(value: Any) -> tuple[Any, ...]:
            if not isinstance(value, list):
                raise Malformed("is not a list")
            return tuple([inner(part) for part in value])

        return several
    parts = [_decoder(argument) for argument in arguments]

    def exactly(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or len(value) != len(parts):
            raise Malformed(f"is not a list of {len(parts)} values")
        return tuple([part(one) for part, one in zip(parts, value, strict=True)])

    return exactly


def _dict_decoder(hint: Any) -> Decoder:
    inner = _decoder(hint)

    def mapping(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Malformed("is not an object")
        found = {}
        for key, part in value.items():
            try:
                found[_text(key)] = inner(part)
            except Malformed as error:
                error.keys.insert(0, ascii(key)[1:-1])
                raise
        return found

    return mapping
