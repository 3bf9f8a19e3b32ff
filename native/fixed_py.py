"""Exact arithmetic and decimal text for scaled 64-bit integers (money, ticks, quantities).

Source of both twins: the build compiles this very file, typed by ``fixed_c.pxd``, to ``native.fixed_c``. It
must therefore import nothing, know no unit and behave the same as plain Python. Every number that enters or
leaves fits a signed 64-bit integer; anything else is refused, so that both twins refuse the same input with
the same words.
"""

from __future__ import annotations

_MAX = 9223372036854775807
_MIN = -_MAX - 1

# Places of a decimal: 10**18 is the largest power of ten an int64 holds.
_MAX_DIGITS = 18
# Characters of a decimal text: sign, 19 digits, point, exponent, some padding zeros; longer is an attack.
_MAX_TEXT = 40
# An exponent beyond this moves any 40-character number out of int64, so counting it further adds nothing.
_MAX_EXPONENT = 100

_POWERS = tuple(10**exponent for exponent in range(_MAX_DIGITS + 1))


def muldiv(a: int, b: int, c: int) -> int:
    """Return ``a * b / c`` rounded half to even, the product being exact (128-bit).

    Raises ZeroDivisionError when ``c`` is 0, OverflowError when an argument or the result does not fit int64,
    TypeError for anything but integers.
    """
    left = int64(a)
    right = int64(b)
    divisor = int64(c)
    if divisor == 0:
        raise ZeroDivisionError("muldiv: division by zero")
    if _product_fits(left, right):
        product = left * right
        quotient = product // divisor
        return quotient + _carry(product % divisor, divisor, quotient & 1)
    return _muldiv_wide(left, right, divisor)


def int64(value: int) -> int:
    """Return ``value``; OverflowError outside signed 64 bits, TypeError for a bool and for no integer."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"an integer is needed, not {type(value).__name__}")
    if value > _MAX or value < _MIN:
        raise OverflowError("integer outside the signed 64-bit range")
    return value


def _product_fits(a: int, b: int) -> bool:
    """Whether ``a * b`` fits int64; the most negative value never counts as fitting: ``abs`` stays exact."""
    if a == _MIN or b == _MIN:
        return False
    if b == 0:
        return True
    return abs(a) <= _MAX // abs(b)


def _carry(remainder: int, divisor: int, odd: int) -> int:
    """Return 1 when a floored quotient must be raised to round half to even, else 0.

    ``remainder`` has the sign of ``divisor`` and is smaller, so no difference below overflows.
    """
    if divisor > 0:
        excess = remainder - (divisor - remainder)
    else:
        excess = (divisor - remainder) - remainder
    return 1 if excess > 0 or (excess == 0 and odd) else 0


def _muldiv_wide(a: int, b: int, c: int) -> int:
    """The rare road of muldiv: the product needs more than 64 bits, so Python's own integers carry it."""
    quotient, remainder = divmod(a * b, c)
    return int64(quotient + _carry(remainder, c, quotient & 1))


def parse_decimal(text: str, digits: int) -> int:
    """Return the number written in ``text`` times ``10**digits``, exactly.

    ``text`` is an optional sign, ASCII digits, an optional fraction and an optional exponent (``-12.50``,
    ``1e-7``). Raises ValueError, quoting at most 40 characters, for anything else (blanks, NaN, Infinity,
    underscores), for more than ``digits`` places that are not zero, for more than 40 characters, and for a
    result outside int64.
    """
    _check_digits(digits)
    if type(text) is not str:
        raise TypeError(f"a decimal is read from text, not {type(text).__name__}")
    length = len(text)
    if length == 0 or length > _MAX_TEXT:
        raise ValueError(f"not a decimal number of 1 to {_MAX_TEXT} characters: {text[:_MAX_TEXT]!r}")
    start = 1 if text[0] == "-" or text[0] == "+" else 0
    whole_end = _digits_end(text, start, length)
    end = whole_end
    if end < length and text[end] == ".":
        end = _digits_end(text, end + 1, length)
        if end == whole_end + 1:
            raise ValueError(f"not a decimal number: {text!r}")
    if whole_end == start or (end < length and not _is_exponent(text, end, length)):
        raise ValueError(f"not a decimal number: {text!r}")
    return _scale(text, start, whole_end, end, digits)


def _digits_end(text: str, start: int, length: int) -> int:
    """Return the index after the run of ASCII digits that begins at ``start``."""
    index = start
    while index < length and "0" <= text[index] <= "9":
        index += 1
    return index


def _is_exponent(text: str, start: int, length: int) -> bool:
    """Whether ``text[start:]`` is ``e`` or ``E``, an optional sign and at least one digit."""
    if text[start] != "e" and text[start] != "E":
        return False
    first = start + 1
    if first < length and (text[first] == "-" or text[first] == "+"):
        first += 1
    return first < length and _digits_end(text, first, length) == length


def _exponent(text: str, start: int, length: int) -> int:
    """Return the exponent written from the ``e`` at ``start``; 0 without one; capped at _MAX_EXPONENT."""
    exponent = 0
    for index in range(start + 1, length):
        if "0" <= text[index] <= "9" and exponent < _MAX_EXPONENT:
            exponent = exponent * 10 + ord(text[index]) - 48
    exponent = min(exponent, _MAX_EXPONENT)
    return -exponent if start + 1 < length and text[start + 1] == "-" else exponent


def _scale(text: str, start: int, whole_end: int, end: int, digits: int) -> int:
    """Return the checked number in ``text`` scaled: mantissa at ``start:end``, its point at ``whole_end``."""
    while start < end and (text[start] == "0" or start == whole_end):
        start += 1
    if start == end:
        return 0
    last = end
    while text[last - 1] == "0" or last - 1 == whole_end:
        last -= 1
    places = last - whole_end - 1 if last > whole_end else last - whole_end
    shift = digits - places + _exponent(text, end, len(text))
    if shift < 0:
        raise ValueError(f"more than {digits} decimal places: {text!r}")
    if last - start + shift > _MAX_DIGITS:
        return _scale_wide(text, text[start:last], shift)
    number = 0
    for index in range(start, last):
        if index != whole_end:
            number = number * 10 + ord(text[index]) - 48
    number *= _POWERS[shift]
    return -number if text[0] == "-" else number


def _scale_wide(text: str, mantissa: str, shift: int) -> int:
    """The rare road of parse_decimal: 19 digits or more, so Python's own integers decide whether they fit."""
    number = int(mantissa.replace(".", "")) * 10**shift
    if text[0] == "-":
        number = -number
    if number > _MAX or number < _MIN:
        raise ValueError(f"decimal outside the signed 64-bit range: {text!r}")
    return number


def format_decimal(value: int, digits: int, min_places: int = 0) -> str:
    """Return ``value / 10**digits`` as exact text, no exponent, trailing zeros cut down to ``min_places``.

    Raises OverflowError for a value outside int64, ValueError unless 0 <= min_places <= digits <= 18.
    """
    _check_digits(digits)
    _check_digits(min_places)
    if min_places > digits:
        raise ValueError(f"min_places must not exceed digits: {min_places} > {digits}")
    shown = str(int64(value))
    sign = "-" if value < 0 else ""
    shown = shown[len(sign) :].zfill(digits + 1)
    point = len(shown) - digits
    places = digits
    while places > min_places and shown[point + places - 1] == "0":
        places -= 1
    if places == 0:
        return sign + shown[:point]
    return f"{sign}{shown[:point]}.{shown[point : point + places]}"


def _check_digits(digits: int) -> None:
    """Refuse a scale that 64 bits cannot carry."""
    if not isinstance(digits, int):
        raise TypeError(f"a number of places is an integer, not {type(digits).__name__}")
    if not 0 <= digits <= _MAX_DIGITS:
        raise ValueError(f"digits must lie in 0..{_MAX_DIGITS}, not {digits}")
