"""What Hypothesis draws: names and numbers, never ids.

A sequence that failed can be played again, and be made smaller.
"""

from hypothesis import strategies as st

_ODD = ["capitals", "elsewhere", "foreign", "gone", "unknown", "no uuid"]
WHICH: st.SearchStrategy[int | str] = st.sampled_from([*range(5)] * 8 + _ODD)
WHICH_OR_NONE_SUCH: st.SearchStrategy[int | str] = st.sampled_from([*range(5)] * 3 + _ODD)
WHICH_IF_ANY: st.SearchStrategy[int | str | None] = st.sampled_from([None] * 30 + [*range(5)] * 5 + _ODD)
_GOOD = ["key 0"] * 10 + ["person 0"] * 4 + ["key 1"] * 3 + ["person 1"] * 2
_BAD = ["nobody", "stranger", "malformed", "person nowhere", "person elsewhere"]
_ISSUED = ["issued 0", "issued 1", "issued 2"]
WHO = st.sampled_from(_GOOD * 4 + _ISSUED * 2 + _BAD)
READER = st.sampled_from(_GOOD * 4 + ["session 0", "session 1"] * 12 + _ISSUED * 2 + _BAD)
SESSION = st.sampled_from(["session 0", "session 1"] * 12 + _ISSUED * 2 + ["key 0", "person 0", *_BAD])
METHOD = st.sampled_from([0, 1])
LIMIT = st.sampled_from([None] * 8 + [1, 2, 3] * 4 + [1000, 0])
EMAIL = st.sampled_from(["jane@example.com", "JANE@example.com", "Jane@Example.COM", "john@example.com", "a@b.org"])
PHONE = st.sampled_from(["+15555550100", "+15555550101", "+4912"])
KEY = st.sampled_from(["jane", "Jane", "j#1"])
# Twice the same name: "ë" is one character or two.
NAME = st.sampled_from(["Jane Doe", "JOHN ROE", "Zo\u00eb", "Zoe\u0308"])
SEARCH = st.sampled_from(["jane", "ROE", "\u00eb", "E\u0308", "zoe", "+155555501", "example.com", "-4", "no such"])
PROFILE = st.fixed_dictionaries(
    {},
    optional={
        "user_identity_key": st.one_of(KEY, st.none()),
        "email_address": st.one_of(EMAIL, EMAIL, EMAIL, st.sampled_from([None, None, "nobody"])),
        "phone_number": st.one_of(PHONE, PHONE, PHONE, st.sampled_from([None, None, "555"])),
        "full_name": st.one_of(NAME, st.none()),
    },
)
PERSON = st.fixed_dictionaries(
    {"full_name": NAME},
    optional={
        "email_address": EMAIL,
        "phone_number": PHONE,
        "access_schedule": st.sampled_from(
            [
                {"starts_at": "2026-01-01T00:00:00.000Z"},
                {"starts_at": "2026-01-01T00:00:00.000Z", "ends_at": "2999-01-01T00:00:00.000Z"},
                {"starts_at": "2999-01-01T00:00:00.000Z", "ends_at": "2998-01-01T00:00:00.000Z"},
            ]
        ),
    },
)
