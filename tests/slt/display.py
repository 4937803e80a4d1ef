"""Values of PostgreSQL and of DuckDB, written as the runner of the .slt files writes Polder's: Arrow's display.

`NULL`, `(empty)` for the empty text, whole floats without `.0`, `2024-01-31T12:00:00.500` for a timestamp, `Z` behind
one with a time zone, lists as `[1, 2]`, structs as `{a: 1}`, intervals as `1 mons 2 days 3 hours`.
"""

import datetime
import decimal
import re
import struct

import pyarrow as pa

BOOL, BYTEA, INT8, INT2, INT4, TEXT, OID, JSON = 16, 17, 20, 21, 23, 25, 26, 114
FLOAT4, FLOAT8, DATE, TIME, TIMESTAMP, TIMESTAMPTZ, INTERVAL, NUMERIC = 700, 701, 1082, 1083, 1114, 1184, 1186, 1700
INTEGERS, FLOATS = (INT8, INT2, INT4, OID), (FLOAT4, FLOAT8)


def top(text: str | None) -> str:
    """A value as a column of a row; `text` is what stands in a list."""
    if text is None:
        return "NULL"
    if text.endswith(".0") and re.fullmatch(r"-?\d+", text[:-2]):
        return text[:-2]
    return text or "(empty)"


def float_text(text: str, single: bool) -> str:
    """The digits of the shortest text that reads back as the float, laid out as Arrow does."""
    special = {"nan": "NaN", "infinity": "inf", "inf": "inf", "-infinity": "-inf", "-inf": "-inf"}.get(text.lower())
    if special:
        return special
    sign, digits, exponent = decimal.Decimal(text).as_tuple()
    figures = "".join(map(str, digits)).rstrip("0") or "0"
    if figures.lstrip("0") == "":
        return "-0.0" if sign else "0.0"
    exponent += len(digits) - len(figures)
    figures = figures.lstrip("0")
    point = len(figures) + exponent
    largest, smallest = (13, -6) if single else (16, -5)
    if exponent >= 0 and point <= largest:
        body = figures + "0" * exponent + ".0"
    elif 0 < point <= largest:
        body = figures[:point] + "." + figures[point:]
    elif smallest < point <= 0:
        body = "0." + "0" * -point + figures
    else:
        body = figures[0] + ("." + figures[1:] if len(figures) > 1 else "") + f"e{point - 1}"
    return "-" * sign + body


def fraction(text: str) -> str:
    """A fraction of a second with three, six or nine digits, or none."""
    text = text.rstrip("0")
    if not text:
        return ""
    return "." + text.ljust(-(-len(text) // 3) * 3, "0")


def interval_text(months: int, days: int, nanoseconds: int) -> str:
    if not (months or days or nanoseconds):
        return "0 secs"
    parts = [f"{months} mons"] if months else []
    if days:
        parts.append(f"{days} days")
    sign = "-" if nanoseconds < 0 else ""
    seconds, rest = divmod(abs(nanoseconds), 1_000_000_000)
    hours, minutes, seconds = seconds // 3600, seconds // 60 % 60, seconds % 60
    if hours:
        parts.append(f"{sign}{hours} hours")
    if minutes:
        parts.append(f"{sign}{minutes} mins")
    if seconds or rest:
        parts.append(f"{sign}{seconds}.{rest:09} secs")
    return " ".join(parts)


def postgres_interval(text: str) -> str:
    months = days = nanoseconds = 0
    for amount, unit in re.findall(r"([+-]?\d+) (year|mon|day)", text):
        months += int(amount) * {"year": 12, "mon": 1, "day": 0}[unit]
        days += int(amount) if unit == "day" else 0
    clock = re.search(r"([+-]?)(\d+):(\d\d):(\d\d)(?:\.(\d+))?$", text)
    if clock:
        sign, hours, minutes, seconds, rest = clock.groups()
        nanoseconds = ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1_000_000_000
        nanoseconds += int((rest or "0").ljust(9, "0"))
        nanoseconds *= -1 if sign == "-" else 1
    return interval_text(months, days, nanoseconds)


def postgres_time(text: str, zoned: bool) -> str:
    """A time or timestamp: `2024-01-31 12:00:00.5+02` as `2024-01-31T12:00:00.500+02:00`."""
    found = re.fullmatch(r"(?:(\d+-\d\d-\d\d) )?(\d\d:\d\d:\d\d)(?:\.(\d+))?([+-]\d\d(?::\d\d)?)?", text)
    if not found:
        return text
    date, clock, rest, zone = found.groups()
    written = (f"{date}T" if date else "") + clock + fraction(rest or "")
    if zoned:
        hours, _, minutes = (zone or "+00").partition(":")
        written += "Z" if int(hours) == 0 and not int(minutes or 0) else f"{hours}:{minutes or '00'}"
    return written


def split_array(text: str) -> list:
    """PostgreSQL's text of an array as nested lists of texts and None."""
    text = re.sub(r"^(\[[-\d]+:[-\d]+\])+=", "", text)
    stack, word, quoted, was_quoted, at = [[]], "", False, False, 0

    def take():
        nonlocal word, was_quoted
        if word or was_quoted:
            stack[-1].append(None if word == "NULL" and not was_quoted else word)
        word, was_quoted = "", False

    while at < len(text):
        letter = text[at]
        if letter == "\\":
            at += 1
            word += text[at]
        elif letter == '"':
            quoted = not quoted
            was_quoted = True
        elif quoted or letter not in "{},":
            word += letter
        elif letter == "{":
            stack.append([])
        else:
            take()
            if letter == "}":
                done = stack.pop()
                stack[-1].append(done)
        at += 1
    return stack[0][0]


def postgres_value(text: str | None, oid: int, elements: dict) -> str | None:
    """One value from PostgreSQL's text; `elements` says of which type the values of an array type are."""
    if text is None:
        return None
    if oid in elements:
        def nested(value):
            if isinstance(value, list):
                return "[" + ", ".join(nested(one) for one in value) + "]"
            shown = postgres_value(value, elements[oid], elements)
            return "NULL" if shown is None else shown
        return nested(split_array(text))
    if oid == BOOL:
        return "true" if text == "t" else "false"
    if oid in FLOATS:
        return float_text(text, oid == FLOAT4)
    if oid == BYTEA:
        return text.removeprefix("\\x")
    if oid in (TIME, TIMESTAMP, TIMESTAMPTZ):
        return postgres_time(text, oid == TIMESTAMPTZ)
    return postgres_interval(text) if oid == INTERVAL else text


def postgres_letter(oid: int) -> str:
    """How a column is named in the header of a query."""
    return "I" if oid in INTEGERS else "R" if oid in (*FLOATS, NUMERIC) else "B" if oid == BOOL else "T"


def single_text(value: float) -> str:
    for figures in range(1, 10):
        text = f"{value:.{figures}g}"
        if struct.pack("f", float(text)) == struct.pack("f", value):
            return text
    return repr(value)


def arrow_time(value) -> str:
    written = value.strftime("%H:%M:%S") + fraction(f"{value.microsecond:06}")
    if isinstance(value, datetime.datetime):
        written = f"{value.year:04}-{value.month:02}-{value.day:02}T{written}"
        if value.tzinfo is not None:
            offset = value.strftime("%z")
            written += "Z" if offset == "+0000" else f"{offset[:3]}:{offset[3:5]}"
    return written


def arrow_value(value, kind: pa.DataType) -> str | None:
    """One value that DuckDB gave through Arrow."""
    if value is None:
        return None

    def inner(one, of):
        shown = arrow_value(one, of)
        return "NULL" if shown is None else shown

    if pa.types.is_boolean(kind):
        return "true" if value else "false"
    if pa.types.is_floating(kind):
        return float_text(single_text(value) if pa.types.is_float32(kind) else repr(value), pa.types.is_float32(kind))
    if pa.types.is_decimal(kind):
        return f"{value:f}"
    if pa.types.is_map(kind):
        return "{" + ", ".join(f"{inner(k, kind.key_type)}: {inner(v, kind.item_type)}" for k, v in value) + "}"
    if pa.types.is_struct(kind):
        return "{" + ", ".join(f"{field.name}: {inner(value[field.name], field.type)}" for field in kind) + "}"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return "[" + ", ".join(inner(one, kind.value_type) for one in value) + "]"
    if pa.types.is_dictionary(kind):
        return arrow_value(value, kind.value_type)
    if pa.types.is_timestamp(kind) or pa.types.is_time(kind):
        return arrow_time(value)
    if pa.types.is_interval(kind):
        return interval_text(value.months, value.days, value.nanoseconds)
    return value.hex() if isinstance(value, bytes) else str(value)


def arrow_letter(kind: pa.DataType) -> str:
    if pa.types.is_integer(kind):
        return "I"
    return "R" if pa.types.is_floating(kind) or pa.types.is_decimal(kind) else "B" if pa.types.is_boolean(kind) else "T"
