"""Letters of the scripts that put no spaces between words.

By Unicode's line-break classes (UAX #14), as in LineBreak.txt of Unicode 18.0.0: the letters and
letter numbers of these classes that NFKC leaves as they are. In the planes of ideographs the places
that are not assigned yet count, too.
"""

from __future__ import annotations

LETTERS = (
    "E01-E30 E32 E40-E46 E81-E82 E84 E86-E8A E8C-EA3 EA5 EA7-EB0 EB2 EBD EC0-EC4 EC6 EDE-EDF "
    "1000-102A 103F 1050-1055 105A-105D 1061 1065-1066 106E-1070 1075-1081 108E 1780-17B3 17D7 "
    "17DC 1950-196D 1970-1974 1980-19AB 19B0-19C9 1A20-1A54 1AA7 1B05-1B33 1B45-1B4C 1BC0-1BE5 "
    "A984-A9B2 A9E0-A9E4 A9E6-A9EF A9FA-A9FE AA00-AA28 AA60-AA76 AA7A AA7E-AAAF AAB1 AAB5-AAB6 "
    "AAB9-AABD AAC0 AAC2 AADB-AADD 11003-11037 11071-11072 11075 11305-1130C 1130F-11310 "
    "11313-11328 1132A-11330 11332-11333 11335-11339 11350 1135E-11361 11380-11389 1138B 1138E "
    "11390-113B5 113D1 11700-1171A 11740-11746 11900-11906 11909 1190C-11913 11915-11916 "
    "11918-1192F 1193F 11941 11EE0-11EF1 11F02 11F04-11F10 11F12-11F33 16100-1611D"
)
"""Classes SA (Thai, Lao, Burmese, Khmer, the Tai scripts, Ahom) and AK, AP, AS (Balinese, Javanese,
Batak, Cham, Brahmi, Grantha, ...): a character is a letter or a part of a syllable."""

IDEOGRAPHS = (
    "3005-3007 3021-3029 3031-3034 303B-303C 3041-3096 309D-309E 30A1-30FA 30FC-30FE 3105-312F "
    "31A0-31BF 31F0-31FF 3400-4DBF 4E00-A48C FA0E-FA0F FA11 FA13-FA14 FA1F FA21 FA23-FA24 "
    "FA27-FA29 113B7 113D3 16FE0-16FE1 16FE3 16FF2-16FF6 17000-18AFF 18D00-18D20 18D80-18DF2 "
    "18E00-19191 191A0-191D2 1B000-1B128 1B132 1B150-1B152 1B155 1B164-1B168 1B170-1B2FB "
    "20000-2F7FF 2FA1E-2FFFD 30000-3FFFD"
)
"""Classes ID, CJ and NS (Chinese, Japanese, Bopomofo, Yi, Tangut, Nushu, ...): a character is a
syllable or a word."""


def character_class(ranges: str) -> str:
    """What stands between the brackets of a regular expression for `FIRST-LAST ...` in hex."""
    return "".join(
        "-".join(chr(int(code, 16)) for code in found.split("-")) for found in ranges.split()
    )
