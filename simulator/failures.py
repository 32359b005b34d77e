"""The failures that can be injected: the tables of protocol.md#a1, #a6, #d6, #d7, #e1 and #h2."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
import json
import re

from .wire import Raw, encode, f2

TRANSPORT = {
    "refuse": "every port is closed",
    "refuse_4028": "the port of API 1 and 2 is closed",
    "refuse_4433": "the port of API 3 is closed",
    "silent": "accepts the connection, reads, and never answers",
    "close": "closes the connection without sending a byte",
    "reset": "resets the connection without sending a byte",
    "reset_midway": "resets the connection after half of the answer",
    "bytewise": "sends the answer in single bytes",
    "byte_a_second": "sends one byte a second",
    "truncate": "stops after half of the answer and closes",
    "stall_midway": "stops after half of the answer and stays open",
    "stall_after_answer": "closes the connection some seconds after the answer (4028)",
    "never_close": "never closes the connection after the answer (4028)",
    "nul": "ends the answer with a NUL",
    "newline": "ends the answer with a newline",
    "garbage": "sends meaningless bytes",
    "huge_answer": "sends an answer of 10 MB",
    "btminer_down": "sends the daemon's line for an unreachable btminer (4028)",
    "wrong_key": "encrypts its answer with another key (4028)",
    "broken_seal": "breaks the base64 of its answer (4028)",
}

FRAMES = {
    "long_length": "the length of a frame is too large (4433)",
    "short_length": "the length of a frame is too small (4433)",
    "huge_length": "the length of a frame is 4 GiB (4433)",
    "no_length": "a frame has no length (4433)",
    "no_answer_frame": "a heartbeat comes instead of the answer (4433)",
    "other_answer": "the answer belongs to another command (4433)",
    "split_header": "the length of a frame is sent byte by byte (4433)",
    "report_between": "an unsolicited report comes before the answer (4433)",
    "heartbeat_between": "a heartbeat comes before the answer (4433)",
    "heartbeat_answered": "a heartbeat is answered with a heartbeat (4433)",
    "close_after_answer": "closes the connection after each answer (4433)",
}

WRITES = {
    "applied_no_answer": "the write takes effect, but is not answered",
    "answered_not_applied": "the write is acknowledged and has no effect",
    "undone": "power_off, or a stop on 4433, is undone after 3 minutes",
}

BINARY = {
    "plain_ready": "answers in plain text before the bytes of an image or a log (4028)",
    "one_segment": "the first bytes of a log are in the same segment as the answer",
    "cut_log": "closes the connection after half of a log",
    "stalled_log": "stops after half of a log, and keeps the connection open",
    "long_log": "the reported length of a log is too large",
    "short_log": "the reported length of a log is too small",
    "huge_log": "the reported length of a log is 4 GiB",
    "wordy_log": "the reported length of a log is not a number",
    "empty_log": "a log is empty",
    "cut_upload": "closes the connection after half of an image",
    "stalled_upload": "stops reading after half of an image",
    "no_final_answer": "an image is accepted, and the connection closes without an answer",
    "image_refused": "an image is refused after it was received",
    "old_version": "an image is accepted, but the version after the reboot is the old one",
}

# Each refuses every request with that code and has no effect (protocol.md#a4 and #e2)
ERRORS: dict[str, tuple[str, int]] = {
    f"error_{code}": (f"answers with code {code} (4028)", code)
    for code in (14, 23, 24, 45, 132, 135, 136, 137, 999)
} | {
    f"error_minus_{-code}": (f"answers with code {code} (4433)", code)
    for code in (-1, -2, -3, -4, -5, -99)
}

HIDE = "hide="
"""`hide=<field>` leaves a field out of every answer, at any depth."""

# The envelope of an answer, and the keys that identify a row
ENVELOPE = frozenset(
    {"STATUS", "When", "Code", "Description", "id", "code", "when", "desc"}
)
NAMES = frozenset({"ASC", "Slot", "POOL", "ID", "DEVDETAILS", "id", "slot"})
RATES = frozenset(
    {"MHS av", "MHS 5s", "MHS 1m", "MHS 5m", "MHS 15m", "HS RT", "Target MHS"}
)
TUNING = frozenset({"Hash Stable", "Upfreq Complete"})
SETTINGS = (
    r'("(?:power_pct|power-percent|Power Limit|power_limit_set|power-limit|power-limit-set|'
    r'hash_percent|hash-percent|target-freq|upfreq_speed|upfreq-speed|UpfreqSpeed|fan-temp-offset)":"?)(-?\d+)'
)
FRACTIONS = re.compile('"Msg":{|"To Remove"')
"""Answers of 2.2.x whose rate of rejected shares is a fraction."""
MAINS_V = 228.75
TEN_YEARS_S = 315_360_000
ODD_TEXT = "\ud800\x00\x1b[K"
"""A lone surrogate, a NUL, and a sequence that clears a line of a terminal."""
OLD_POOL = (
    '{"POOL":1,"URL":"stratum+tcp://old.example.com:3333","Status":"Alive","Priority":0,'
    '"Accepted":7,"Rejected":7,"User":"account.old","Stratum Active":true,"To Remove":true}'
)
TOO_HIGH = 2**64 - 1
MANY_ROWS, MANY_CODES = 4000, 7000


def _after_first(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new, 1)


def _drop(pattern: str) -> Callable[[str], str]:
    return lambda text: re.sub(pattern, "", text)


def _put(
    pattern: str, replacement: str | Callable[[re.Match[str]], str]
) -> Callable[[str], str]:
    return lambda text: re.sub(pattern, replacement, text)


def _pairs(found: re.Match[str]) -> str:
    """Return a list of objects as one list of pairs; leave an empty list unchanged."""
    return f"[{found[1].replace('{', '').replace('}', '')}]"


def _in_whole_units(found: re.Match[str]) -> str:
    """Return volts instead of hundredths, and amperes instead of thousandths."""
    voltage = found.string[: found.start()].endswith('"vin":"')
    return str(int(found[0]) / (100 if voltage else 1000))


def _contents(change: Callable[[object], object]) -> Callable[[str], str]:
    """Return a function that changes the contents of an answer, but not its envelope."""

    def spoil_contents(text: str) -> str:
        try:
            answer = json.loads(text, parse_int=Raw, parse_float=Raw)
        except ValueError:
            return text
        return encode(
            {
                key: value if key in ENVELOPE else change(value)
                for key, value in answer.items()
            }
        )

    return spoil_contents


def _leaves(
    change: Callable[[object], object], kept: frozenset[str] = NAMES
) -> Callable[[str], str]:
    """Return a function that changes every value, except the keys of rows."""

    def walk(value: object, key: str = "") -> object:
        match value:
            case dict():
                return {key: walk(item, key) for key, item in value.items()}
            case list():
                return [walk(item) for item in value]
            case _:
                return value if key in kept else change(value)

    return _contents(walk)


def _numbers(replacement: str) -> Callable[[str], str]:
    """Return a function that replaces every number, also the numbers in strings."""
    return _leaves(
        lambda value: Raw(replacement) if _is_number(value) else value,
    )


def _is_number(value: object) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"-?\d+(\.\d+)?", value))


def _with_odd_text(value: object) -> object:
    """Return a text with forbidden characters before it and too many others after it."""
    if isinstance(value, Raw) or not isinstance(value, str):
        return value
    return f"{ODD_TEXT}{value}{'x' * 300}"


def _repeated(name: str, value: object) -> object:
    """Return a value in which the last board is repeated, each time with the next number."""
    match value:
        case dict():
            return {key: _repeated(key, item) for key, item in value.items()}
        case [*rows, dict() as last] if name in ("DEVS", "edevs"):
            return rows + [
                last | {key: number for key in last if key in NAMES}
                for number in range(len(rows), MANY_ROWS)
            ]
        case _:
            return value


def _without(half: int) -> Callable[[str], str]:
    """Return a function that removes every second field of every object."""

    def walk(value: object) -> object:
        match value:
            case dict():
                return {
                    key: walk(item)
                    for number, (key, item) in enumerate(value.items())
                    if number % 2 != half
                }
            case list():
                return [walk(item) for item in value]
            case _:
                return value

    return _contents(walk)


def _lacking(*names: str) -> Callable[[str], str]:
    """Return a function that removes the fields with these names at any depth."""

    def walk(value: object) -> object:
        match value:
            case dict():
                return {
                    key: walk(item) for key, item in value.items() if key not in names
                }
            case list():
                return [walk(item) for item in value]
            case _:
                return value

    return _contents(walk)


def _empty(value: object) -> object:
    """Return the objects without their fields."""
    match value:
        case dict():
            return {}
        case list():
            return [_empty(item) for item in value]
        case _:
            return value


def _moved(seconds: int) -> Callable[[str], str]:
    """Return a function that moves the miner's clock."""
    return lambda text: re.sub(
        r'(?<="[Ww]hen":)-?\d+', lambda found: str(int(found[0]) + seconds), text
    )


def _anywhere(change: Callable[[object], object]) -> Callable[[str], str]:
    """Return a function that changes a whole answer, envelope included."""

    def spoil_answer(text: str) -> str:
        try:
            answer = json.loads(text, parse_int=Raw, parse_float=Raw)
        except ValueError:
            return text
        return encode(change(answer))

    return spoil_answer


def _hide(field: str) -> Callable[[str], str]:
    """Return a function that removes one field at any depth, also from text that is not valid JSON."""
    value = re.compile(rf'"{re.escape(field)}":(?:"[^"]*"|[-\w.]+),?')

    def walk(value: object) -> object:
        match value:
            case dict():
                return {key: walk(item) for key, item in value.items() if key != field}
            case list():
                return [walk(item) for item in value]
            case _:
                return value

    def hide(text: str) -> str:
        hidden = _anywhere(walk)(text)
        return value.sub("", text) if hidden == text else hidden

    return hide


def _bare(text: str) -> str:
    """Leave nothing of a refusal but its code."""
    try:
        answer = json.loads(text)
    except ValueError:
        return text
    if answer.get("STATUS") == "E":
        return encode({"Code": answer["Code"]})
    return encode({"code": answer["code"]}) if answer.get("code", 0) else text


def _without_tuning(value: object, key: str = "") -> object:
    """Return an answer whose summary does not say whether tuning is complete."""
    match value:
        case dict():
            return {
                name: _without_tuning(item, name)
                for name, item in value.items()
                if key not in ("SUMMARY", "Msg") or name not in TUNING
            }
        case list():
            return [_without_tuning(item, key) for item in value]
        case _:
            return value


def _with_dust(found: re.Match[str]) -> str:
    """Return a whole number as a binary float that is a little less."""
    return f"{found[1]}{float(found[2]) * (1 - 1e-7)!r}"


def _rates(text: str, rows: str, names: frozenset[str]) -> str:
    """Write some hashrates in the other unit: MH/s in TH/s, and TH/s in MH/s."""

    def other(value: object) -> object:
        if not _is_number(value):
            return value
        rate = float(str(value))
        return f2(rate / 1e6) if rate >= 10_000 else f2(rate * 1e6)

    def walk(value: object, key: str = "") -> object:
        match value:
            case dict():
                return {
                    name: other(item)
                    if key == rows and name in names
                    else walk(item, name)
                    for name, item in value.items()
                }
            case list():
                return [walk(item, key) for item in value]
            case _:
                return value

    return _anywhere(walk)(text)


def _input_of_psu(volts: float, per_ampere: int) -> Callable[[str], str]:
    """Return a function that adds the input of the power supply to a long summary."""

    def fields(found: re.Match[str]) -> str:
        amperes = int(found[1]) / MAINS_V * per_ampere
        more = f'"Power Voltage Input":{volts},"Power Current Input":{amperes:.2f},'
        return found[0] + more

    return _put(r'(?<="SUMMARY":\[\{).*?"Power":(\d+),', fields)


def _in_utc(found: re.Match[str]) -> str:
    """Return a time of the default zone in UTC."""
    return str(datetime.fromisoformat(found[0]) - timedelta(hours=8))


def _listed(found: re.Match[str]) -> str:
    """Return the fields of an object as a list of objects."""
    notes = json.loads(found[0])
    return encode([{"key": key, "val": text} for key, text in notes.items()])


def _status_as_object(answer: object) -> object:
    """Return an answer of 4028 whose STATUS is an object, not a text or a list of one object."""
    if not isinstance(answer, dict) or "STATUS" not in answer:
        return answer
    status = answer["STATUS"]
    one = status[0] if isinstance(status, list) else {"STATUS": status}
    return answer | {"STATUS": one}


# What a miner may answer instead, for statements that docs/protocol.md infers (section K).
DEVIATIONS: dict[str, tuple[str, Callable[[str], str]]] = {
    "description": (
        "another description in every answer (4028)",
        _put(r'(?<="Description":)"[^"]*"', '"btminer"'),
    ),
    "lone_backslash": (
        "a backslash that begins no escape in the user of a pool",
        _put(r'(?<="User":")|(?<="account":")', lambda _: "dom\\"),
    ),
    "psu_unmeasured": (
        "a power supply that measures nothing reports 0",
        _put(r'(?<="[vip]in":)("?)[\d.]+\1', r"\g<1>0\g<1>"),
    ),
    "first_of_joined": (
        "get.miner.status answers only the first of what is joined (4433)",
        lambda text: _lacking("edevs", "pools")(text) if '"summary":' in text else text,
    ),
    "other_key_words": (
        "refuses what it cannot decrypt with code 23 in other words (4028)",
        _after_first("enc json load err", "json cmd err"),
    ),
    "pkcs7_padding": ("pads what it encrypts as PKCS#7 (4028)", lambda text: text),
    "data_key": ("names what it encrypts data, not enc (4028)", lambda text: text),
    "spaces": (
        "spaces and newlines between the parts of an answer",
        _put(r'"(?:[^"\\]|\\.)*"|[,:{}\[\]]', r"\g<0> \n"),
    ),
    "other_rate_unit": (
        "HS RT of the summary in TH/s (4028)",
        lambda text: _rates(
            _rates(text, "SUMMARY", frozenset({"HS RT"})), "Msg", frozenset({"HS RT"})
        ),
    ),
    "other_summary_unit": (
        "every hashrate of the summary in TH/s (4028)",
        lambda text: _rates(_rates(text, "SUMMARY", RATES), "Msg", RATES),
    ),
    "other_board_unit": (
        "hashrates of boards in MH/s instead of TH/s, or the other way round (4028)",
        lambda text: _rates(text, "DEVS", RATES),
    ),
    "summary_psu": (
        "volts and amperes of the power supply in the summary (1.x and 2.0.x)",
        _input_of_psu(MAINS_V, 1),
    ),
    "summary_psu_units": (
        "the same in hundredths of a volt and in milliamperes",
        _input_of_psu(MAINS_V * 100, 1000),
    ),
    "other_reject_unit": (
        "rejected shares as a fraction instead of percent, or the other way round",
        _put(
            r'(?<="Pool Rejected%":)[0-9.e-]+|(?<="reject-rate":)[0-9.e-]+',
            lambda found: (
                f"{float(found[0]) * (100 if FRACTIONS.search(found.string) else 0.01):.9f}"
            ),
        ),
    ),
    "pools_to_remove": (
        "a replaced pool is still listed, to be removed (2.2.x on 4028)",
        lambda text: (
            text.replace('"POOLS":[{', f'"POOLS":[{OLD_POOL},{{')
            if '"To Remove":' in text
            else text
        ),
    ),
    "pools_reversed": (
        "pools in another order than that of their priority (4028)",
        _contents(
            lambda value: (
                value[::-1]
                if isinstance(value, list) and value and "POOL" in value[0]
                else value
            )
        ),
    ),
    "pool_words": (
        "another word for the state of a pool",
        _put(r'(?<="[Ss]tatus":")[Aa]live(?=")', "Rejecting"),
    ),
    "short_version": (
        "a version without whatsminer before it, and no description (1.x)",
        _put(r'(?<="Description":")whatsminer [^"]*|whatsminer v(?=[\d.]+")', ""),
    ),
    "status_words": (
        "Success and Error instead of their first letters (4028)",
        _put(
            r'(?<="STATUS":")[SE](?=")',
            lambda found: {"S": "Success", "E": "Error"}[found[0]],
        ),
    ),
    "status_object": (
        "an object for the status of an answer (4028)",
        _anywhere(_status_as_object),
    ),
    "byte_order_mark": (
        "a byte order mark before an answer",
        lambda text: f"\ufeff{text}",
    ),
    "twice": ("each answer twice", lambda text: f"{text}\n{text}"),
    "number_of_time": (
        "a number for the time in a token (4028)",
        _put(r'(?<="time":)"0*(\d+)"', r"\1"),
    ),
    "codes_from_one": (
        "error codes that are numbered from 1 (1.x)",
        _put(r'(?<="Error Code )\d+', lambda found: str(int(found[0]) + 1)),
    ),
    "same_slots": (
        "every board in slot 0",
        _put(r'(?<="[Ss]lot":)\d+', "0"),
    ),
    "slots_from_one": (
        "boards in slots that are numbered from 1",
        _put(r'(?<="[Ss]lot":)\d+', lambda found: str(int(found[0]) + 1)),
    ),
    "no_frequency": (
        "0 instead of the mean frequency",
        _put(r'(?<="freq_avg":)[\d.]+|(?<="freq-avg":)[\d.]+', "0"),
    ),
    "zero_percent": (
        "0 instead of 100 percent, as on 4433 (2.2.x)",
        _put(r'(?<="power_pct":)100', "0"),
    ),
    "board_tuning": (
        "only the boards report whether tuning is complete (4028)",
        _anywhere(_without_tuning),
    ),
    "float_dust": (
        "settings as binary floats, 69.999993 instead of 70",
        _put(SETTINGS, _with_dust),
    ),
    "utc_times": (
        "the times of errors and of the stop in UTC",
        _put(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", _in_utc),
    ),
    "unix_times": (
        "the times of errors and of the stop as Unix seconds",
        _put(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "1718447400"),
    ),
    "listed_notes": (
        "the owner's texts as a list (2.2.x)",
        _put(r'(?<="Msg":)\{[^{}]*"msg9":[^{}]*\}', _listed),
    ),
    "no_model": (
        "no model",
        _put(
            r'(?<="Model":)"[^"]*"|(?<="miner_type":)"[^"]*"|(?<="type":)"M\d[^"]*"',
            '""',
        ),
    ),
    "odd_model": (
        "a model of a series that is not known",
        _put(
            r'(?<="Model":)"[^"]*"|(?<="miner_type":)"[^"]*"|(?<="type":)"M\d[^"]*"',
            '"N1_X10"',
        ),
    ),
    "liquid_model": (
        "the model of a liquid cooled miner",
        _put(
            r'(?<="Model":)"[^"]*"|(?<="miner_type":)"[^"]*"|(?<="type":)"M\d[^"]*"',
            '"M66S_VK30"',
        ),
    ),
}

# Each function breaks the text of an answer; it leaves the text unchanged if there is nothing to break.
PAYLOAD: dict[str, tuple[str, Callable[[str], str]]] = {
    "all_null": ("null instead of every value", _leaves(lambda _: None)),
    "even_fields": ("every second field is missing", _without(0)),
    "odd_fields": ("the other half of the fields is missing", _without(1)),
    "no_fields": ("all fields are missing", _contents(_empty)),
    "string_numbers": (
        "strings instead of numbers",
        _leaves(lambda value: str(value) if isinstance(value, Raw) else value),
    ),
    "all_nan": ("nan instead of every number", _numbers("nan")),
    "all_inf": ("inf instead of every number", _numbers("-inf")),
    "all_zero": ("0 instead of every number", _numbers("0")),
    "all_nan_text": ("nan as a string instead of every number", _numbers('"nan"')),
    "all_inf_text": ("inf as a string instead of every number", _numbers('"inf"')),
    "all_too_high": (
        "a counter that ran over instead of every number",
        _numbers(str(TOO_HIGH)),
    ),
    "odd_texts": (
        "forbidden characters and 300 more in every text",
        _leaves(_with_odd_text, NAMES | {"salt"}),  # no token would fit another salt
    ),
    "odd_mac": (
        "a path instead of the MAC address",
        _put(r'(?<="(?:MAC|mac)":)"[^"]*"', '"../www/evil"'),
    ),
    "many_boards": (
        f"{MANY_ROWS} boards",
        _anywhere(lambda answer: _repeated("", answer)),
    ),
    "many_codes": (
        f"{MANY_CODES} error codes",
        _put(
            r'(?<="error[_-]code":)\[[^\]]*\]',
            json.dumps([{str(10_000 + code): ""} for code in range(MANY_CODES)]),
        ),
    ),
    "null_contents": ("null instead of all contents", _contents(lambda _: None)),
    "text_contents": ("a text instead of all contents", _contents(lambda _: "ok")),
    "trailing_comma": (
        "a comma before the last brace",
        lambda text: re.sub(r"\}\s*$", ",}", text),
    ),
    "raw_newline": (
        "a newline inside the version",
        _put(r"(?<=\.)(?=REL|Rel)", "\n"),
    ),
    "joined_objects": ("no comma between two objects", _put(r"\},\{", "}{")),
    "list_comma": ("a comma at the start of a list", _put(r"\[\{", "[,{")),
    "psu_comma": ("no comma before temp0", _after_first('","temp0"', '""temp0"')),
    "list_of_pairs": (
        "error codes in a list without their braces (4028)",
        _put(r'(?<="error_code":)\[(.*?)\]', _pairs),
    ),
    "leading_comma": (
        "a comma instead of the first brace",
        lambda text: "," + text[1:],
    ),
    "string_nan": ("nan as a string", _put(r'(?<="Power":)[0-9.]+', '"nan"')),
    "bare_nan": (
        "nan instead of a number",
        _put(r'(?<="Temperature":)[0-9.]+', "-nan"),
    ),
    "string_inf": ("inf as a string", _put(r'(?<="MHS 15m":)[0-9.]+', '"inf"')),
    "duplicate_key": ("the same key twice", _put(r'("Uptime":\d+)', r"\1,\1")),
    "bare_codes": ("refusals consist of their code alone", _bare),
    "code_text": (
        "a string for the code (4433)",
        _put(r'(?<="code":)-?\d+', lambda found: f'"{found[0]}"'),
    ),
    "percent_object": (
        "the percent as an object (4433)",
        _put(r'(?<="power-percent":)\d+', r'{"percent":"\g<0>","mode":"normal"}'),
    ),
    "reject_percent": (
        "reject-percent instead of reject-rate (4433)",
        _put('"reject-rate"', '"reject-percent"'),
    ),
    "psu_volts": (
        "volts and amperes at the input of the power supply (4028)",
        _put(r'(?<="vin":")\d+|(?<="iin":")\d+', _in_whole_units),
    ),
    "named_codes": (
        "error codes as the values of a field with that name (4028)",
        _put(r'\{"(\d+)":"[^"]*"\}', r'{"code":"\1"}'),
    ),
    "indexed_codes": (
        "error codes as the values of their positions (4028)",
        _put(r'\{"(\d+)":"[^"]*"\}', r'{"1":"\1"}'),
    ),
    "no_asc": ("boards without a number", _drop(r'"ASC":\d+,')),
    "no_mac": ("the MAC address is missing everywhere", _lacking("mac", "MAC")),
    "no_network": (
        "device information without its network (4433)",
        _lacking("network"),
    ),
    "empty_network": (
        "a list without entries instead of the network (4433)",
        _put(r'(?<="network":)\{[^}]*\}', "[]"),
    ),
    "no_serials": ("boards without a serial number", _lacking("PCB SN")),
    "no_flag": ("status without its flag", _drop(r'"(bt)?mineroff":"\w+",')),
    "no_envelope": (
        "status without its envelope, as in MicroBT's documents",
        _put(r'^\{"STATUS":.*"Msg":(\{.*\}),"Description":.*$', r"\1"),
    ),
    "clock_zero": ("a clock that was never set", _put(r'(?<="[Ww]hen":)-?\d+', "0")),
    "clock_negative": ("a clock before 1970", _put(r'(?<="[Ww]hen":)-?\d+', "-28800")),
    "clock_ahead": ("a clock that is ten years fast", _moved(TEN_YEARS_S)),
    "clock_huge": ("a clock of 20 digits", _put(r'(?<="[Ww]hen":)-?\d+', "9" * 20)),
    "clock_words": (
        "a clock with a text instead of a number",
        _put(r'(?<="[Ww]hen":)-?\d+', '"now"'),
    ),
    "no_clock": ("an answer without a time", _drop(r'"[Ww]hen":-?\d+,')),
    "no_status": (
        "an answer that does not say whether it is an error",
        _drop(r'"STATUS":"\w",|"[Cc]ode":-?\d+,'),
    ),
    "power_missing": (
        "power that is not reported",
        _put(r'(?<="Power":)[0-9.]+', "-1"),
    ),
}

FAILURES: dict[str, str] = (
    TRANSPORT
    | FRAMES
    | WRITES
    | BINARY
    | {name: what for name, (what, _) in ERRORS.items()}
    | {name: what for name, (what, _) in PAYLOAD.items()}
)

DEFECTS = DEVIATIONS | PAYLOAD


@dataclass(slots=True)
class _Active:
    failure: str
    command: str | None
    times: int | None


class Failures:
    """The active failures, each for one command or for all, permanent or for a number of times."""

    def __init__(self, always: tuple[str, ...] = ()) -> None:
        """Start with the failures that this miner always has."""
        self._active: list[_Active] = []
        self._always = frozenset(always)

    def inject(
        self, failure: str, command: str | None = None, times: int | None = None
    ) -> None:
        """Add a failure."""
        if not is_known(failure):
            raise ValueError(
                f"Unknown failure {failure!r}; known are {', '.join(FAILURES)}, {HIDE}FIELD"
            )
        self._active.append(_Active(failure, command, times))

    def clear(self) -> None:
        """Remove all failures that were injected."""
        self._active.clear()

    def refusing(self, port: int) -> bool:
        """Return whether this port is closed; 4028 and 4433 also mean the ports used in their place."""
        return any(
            active.failure in ("refuse", f"refuse_{port}") for active in self._active
        )

    def has(self, failure: str) -> bool:
        """Return whether a failure is active that does not belong to a request."""
        return any(active.failure == failure for active in self._active)

    def take(self, command: str) -> frozenset[str]:
        """Return the failures for one request and count it; a joined request has those of its parts."""
        names = {None, command, *command.split("+")}
        taken = [active for active in self._active if active.command in names]
        for active in taken:
            if active.times is not None:
                active.times -= 1
        self._active = [
            active
            for active in self._active
            if active.times is None or active.times > 0
        ]
        return self._always | {active.failure for active in taken}


def is_known(failure: str) -> bool:
    """Return whether this failure exists."""
    return failure in FAILURES | DEVIATIONS or (
        failure.startswith(HIDE) and failure != HIDE
    )


def refused(refuse: Mapping[str, int], command: str, *values: object) -> int | None:
    """Return the code of a refusal that names a command, or one of its values."""
    names = (command, *(f"{command}={value}" for value in values))
    return next((refuse[name] for name in names if name in refuse), None)


def error_of(failures: frozenset[str], *, v3: bool) -> int | None:
    """Return the code with which a request is refused, or None; each port has its own codes."""
    codes = (code for name, (_, code) in ERRORS.items() if name in failures)
    return next((code for code in codes if (code < 0) is v3), None)


def spoil(text: str, failures: frozenset[str]) -> str:
    """Return the text with the failures of the payload applied."""
    if not failures:
        return text
    for name, (_, defect) in DEFECTS.items():
        if name in failures:
            text = defect(text)
    for failure in failures:
        if failure.startswith(HIDE):
            text = _hide(failure.removeprefix(HIDE))(text)
    return text
