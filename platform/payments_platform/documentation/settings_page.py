"""The page of settings, from their declaration. Belongs here: the table. Does not: values, the settings themselves."""

from payments_platform.documentation.markdown import table
from payments_platform.settings import Settings


def settings_page() -> str:
    """One row per setting: variable, default, meaning. Reads the declaration and no value."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = "see the meaning" if field.default_factory or field.default is None else str(field.default)
        rows.append((f"`PAYMENTS_{name.upper()}`", default, field.description or ""))
    lead = "Every setting is an environment variable, read in one place. A value that cannot be used is refused."
    return "\n".join(["# Settings", "", lead, "", *table(("variable", "default", "meaning"), rows)])
