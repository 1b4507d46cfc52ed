"""How a revision runs its SQL file and inserts reference data.

Belongs here: what several revisions share. Does not: SQL (the files in versions/), the choice of a database.
"""

from contextlib import closing
from importlib.resources import files
from typing import TYPE_CHECKING

import pycountry
from alembic import op

from payments_platform.money import COUNTRIES, CURRENCIES, EXPONENT

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPICursor


def _cursor() -> "DBAPICursor":
    """The driver's own cursor: SQL files hold ``%`` and ``:`` that SQLAlchemy would read as parameters."""
    return op.get_bind().connection.cursor()


def run_file(name: str) -> None:
    """Run one SQL file of versions/ whole, in the migration's transaction."""
    sql = files("payments_platform.oltp.migrations.versions").joinpath(name).read_text(encoding="utf-8")
    with closing(_cursor()) as cursor:
        cursor.execute(sql)


def insert_reference() -> None:
    """Fill currencies and countries from the lists that the rules use, so that both sides agree."""
    currency_names = {currency.alpha_3: currency.name for currency in pycountry.currencies}
    country_names = {country.alpha_2: country.name for country in pycountry.countries}
    currencies = [(code, EXPONENT[code], currency_names[code]) for code in CURRENCIES]
    countries = [(code, country_names[code]) for code in COUNTRIES]
    with closing(_cursor()) as cursor:
        cursor.executemany("INSERT INTO oltp.currencies VALUES (%s, %s, %s)", currencies)
        cursor.executemany("INSERT INTO oltp.countries VALUES (%s, %s)", countries)
