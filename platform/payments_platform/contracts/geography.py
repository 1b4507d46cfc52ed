"""The world as payments see it: the countries of ISO 3166-1 in the regions of the United Nations.

Belongs here: which country lies where. Does not: which codes are valid (money.py), the dimension (dimensions.py). Names
are those of ISO 3166-1 (pycountry), regions those of the United Nations' standard country or area codes (M49). Taiwan,
which M49 does not list, is placed as in Unicode's CLDR; Antarctica, which has no sub-region, is its own.
"""

from dataclasses import dataclass
from typing import Final

import pycountry

from payments_platform.money import COUNTRIES

# M49: region → sub-region (the intermediate regions of Africa and the Americas are sub-regions here) → countries.
_M49: Final[dict[str, dict[str, str]]] = {
    "Africa": {
        "Northern Africa": "DZ EG EH LY MA SD TN",
        "Eastern Africa": "BI DJ ER ET IO KE KM MG MU MW MZ RE RW SC SO SS TF TZ UG YT ZM ZW",
        "Middle Africa": "AO CD CF CG CM GA GQ ST TD",
        "Southern Africa": "BW LS NA SZ ZA",
        "Western Africa": "BF BJ CI CV GH GM GN GW LR ML MR NE NG SH SL SN TG",
    },
    "Americas": {
        "Northern America": "BM CA GL PM US",
        "Caribbean": "AG AI AW BB BL BQ BS CU CW DM DO GD GP HT JM KN KY LC MF MQ MS PR SX TC TT VC VG VI",
        "Central America": "BZ CR GT HN MX NI PA SV",
        "South America": "AR BO BR BV CL CO EC FK GF GS GY PE PY SR UY VE",
    },
    "Antarctica": {"Antarctica": "AQ"},
    "Asia": {
        "Central Asia": "KG KZ TJ TM UZ",
        "Eastern Asia": "CN HK JP KP KR MN MO TW",
        "South-eastern Asia": "BN ID KH LA MM MY PH SG TH TL VN",
        "Southern Asia": "AF BD BT IN IR LK MV NP PK",
        "Western Asia": "AE AM AZ BH CY GE IL IQ JO KW LB OM PS QA SA SY TR YE",
    },
    "Europe": {
        "Eastern Europe": "BG BY CZ HU MD PL RO RU SK UA",
        "Northern Europe": "AX DK EE FI FO GB GG IE IM IS JE LT LV NO SE SJ",
        "Southern Europe": "AD AL BA ES GI GR HR IT ME MK MT PT RS SI SM VA",
        "Western Europe": "AT BE CH DE FR LI LU MC NL",
    },
    "Oceania": {
        "Australia and New Zealand": "AU CC CX HM NF NZ",
        "Melanesia": "FJ NC PG SB VU",
        "Micronesia": "FM GU KI MH MP NR PW UM",
        "Polynesia": "AS CK NU PF PN TK TO TV WF WS",
    },
}


@dataclass(frozen=True)
class Country:
    """A country and where it lies."""

    code: str
    alpha_3: str
    name: str
    region: str
    subregion: str


def countries() -> tuple[Country, ...]:
    """Every country of ISO 3166-1, by code. Raises KeyError for one that no sub-region lists."""
    placed = {
        code: (region, subregion)
        for region, parts in _M49.items()
        for subregion, codes in parts.items()
        for code in codes.split()
    }
    entries = {entry.alpha_2: entry for entry in pycountry.countries}
    return tuple(
        Country(code, entries[code].alpha_3, getattr(entries[code], "common_name", entries[code].name), *placed[code])
        for code in COUNTRIES
    )


def countries_macro() -> str:
    """The countries as a dbt macro: rows (country_code, country_alpha_3, country_name, region_name, subregion_name)."""
    rows = ",\n".join(f"  ({', '.join(_quoted(cell) for cell in _cells(country))})" for country in countries())
    head = "{# Written from contracts/geography.py by `payments dbt-schema`; change it there, then run it again. #}"
    columns = "country_code, country_alpha_3, country_name, region_name, subregion_name"
    relation = f"select * from (values\n{rows}\n) as listed ({columns})"  # noqa: S608 - constants
    return f"{head}\n{{% macro countries() -%}}\n{relation}\n{{%- endmacro %}}\n"


def _cells(country: Country) -> tuple[str, ...]:
    return (country.code, country.alpha_3, country.name, country.region, country.subregion)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
