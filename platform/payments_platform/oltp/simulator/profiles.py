"""The closed lists that synthetic people and shops are made of.

Belongs here: words, countries, categories, networks. Nobody in them is real: names are common words combined at
random, e-mail is at example.com, addresses come from the networks reserved for documentation.
"""

from typing import Final, NamedTuple

from payments_platform.money import EXPONENT


class Place(NamedTuple):
    """A country where merchants and customers live."""

    country_code: str
    currency: str
    weight: int


class Trade(NamedTuple):
    """A merchant category: code, median amount in US cents, words for names."""

    mcc: str
    median_usd_minor: int
    words: tuple[str, str]


class Device(NamedTuple):
    """What a device tells about itself."""

    device_type: str
    os_name: str
    browser_name: str
    weight: int


DEVICES: Final = (
    Device("mobile", "ios", "safari", 300),
    Device("mobile", "android", "chrome", 330),
    Device("mobile", "android", "app", 90),
    Device("mobile", "ios", "app", 80),
    Device("tablet", "ios", "safari", 40),
    Device("desktop", "windows", "chrome", 80),
    Device("desktop", "windows", "edge", 30),
    Device("desktop", "macos", "safari", 35),
    Device("desktop", "linux", "firefox", 15),
)
PLACES: Final = (
    Place("US", "USD", 260),
    Place("FR", "EUR", 150),
    Place("DE", "EUR", 110),
    Place("GB", "GBP", 110),
    Place("ES", "EUR", 50),
    Place("IT", "EUR", 50),
    Place("NL", "EUR", 35),
    Place("BE", "EUR", 20),
    Place("CH", "CHF", 20),
    Place("JP", "JPY", 60),
    Place("CA", "CAD", 35),
    Place("AU", "AUD", 25),
    Place("SE", "SEK", 15),
    Place("PL", "PLN", 15),
    Place("BR", "BRL", 20),
    Place("MX", "MXN", 15),
    Place("IN", "INR", 15),
    Place("SG", "SGD", 10),
    Place("KR", "KRW", 12),
    Place("KW", "KWD", 10),
    Place("TN", "TND", 5),
    Place("AE", "AED", 8),
    Place("ZA", "ZAR", 6),
    Place("VN", "VND", 4),
)
TRADES: Final = (
    Trade("5411", 3_200, ("Grocery", "Market")),
    Trade("5812", 2_800, ("Kitchen", "Table")),
    Trade("5814", 1_100, ("Corner", "Snacks")),
    Trade("5541", 4_500, ("Fuel", "Station")),
    Trade("5732", 14_000, ("Electronics", "Devices")),
    Trade("5651", 6_500, ("Clothing", "Wardrobe")),
    Trade("5942", 2_100, ("Books", "Pages")),
    Trade("4111", 900, ("Transit", "Lines")),
    Trade("4722", 32_000, ("Travel", "Voyages")),
    Trade("7011", 21_000, ("Hotel", "Lodge")),
    Trade("5816", 1_300, ("Games", "Arcade")),
    Trade("5818", 1_000, ("Streaming", "Media")),
    Trade("5912", 2_400, ("Pharmacy", "Care")),
    Trade("8299", 9_000, ("Courses", "Academy")),
)
SHOP_WORDS: Final = (
    *(
        "Amber",
        "Birch",
        "Cedar",
        "Delta",
        "Ember",
        "Fjord",
        "Garnet",
        "Harbor",
        "Indigo",
        "Juniper",
        "Kestrel",
        "Lagoon",
    ),
    *(
        "Maple",
        "Nimbus",
        "Orchid",
        "Pebble",
        "Quartz",
        "River",
        "Saffron",
        "Timber",
        "Umber",
        "Velvet",
        "Willow",
        "Zephyr",
    ),
)
FIRST_NAMES: Final = (
    *("Alex", "Bruno", "Clara", "Diana", "Emil", "Farah", "Gina", "Hugo", "Ines", "Jonas", "Kira", "Liam", "Mona"),
    *("Nora", "Omar", "Petra", "Quinn", "Rosa", "Samir", "Tara", "Uma", "Viktor", "Wendy", "Yara", "Zeno"),
)
LAST_NAMES: Final = (
    *("Ash", "Brook", "Clay", "Dale", "Elm", "Field", "Grove", "Hill", "Isle", "Knoll", "Lake", "Moor", "North"),
    *("Oak", "Pond", "Reed", "Stone", "Thorn", "Vale", "Wood"),
)
STREETS: Final = ("Mill Lane", "Station Road", "Church Street", "Park Avenue", "Bridge Way", "Garden Row")
SEGMENTS: Final = (("consumer", 860), ("business", 120), ("vip", 20))
BRANDS: Final = (
    ("visa", 500),
    ("mastercard", 330),
    ("amex", 70),
    ("discover", 30),
    ("jcb", 30),
    ("unionpay", 30),
    ("diners", 10),
)
FUNDINGS: Final = (("credit", 480), ("debit", 460), ("prepaid", 60))
METHODS: Final = (("card", 820), ("wallet", 90), ("sepa_debit", 60), ("bank_transfer", 30))
# Documentation networks of RFC 5737; IPv6 addresses come from 2001:db8::/32 (RFC 3849).
NETWORKS: Final = ("192.0.2.", "198.51.100.", "203.0.113.")

CURRENCIES: Final = tuple(sorted({place.currency for place in PLACES}))
EXPONENTS: Final = tuple(EXPONENT[currency] for currency in CURRENCIES)
CURRENCY_OF_PLACE: Final = tuple(CURRENCIES.index(place.currency) for place in PLACES)
