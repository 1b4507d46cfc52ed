"""E-mail by SMTP.

Belongs here: the server's address, sending one text to its readers, what the answers mean. Does not: the text.
"""

import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import make_msgid
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from payments_platform.clients.messaging import SECONDS, ChannelAway, ChannelRefused

Security = Literal["tls", "starttls", "none"]
# smtps is TLS from the first byte, smtp upgrades, smtp+plain is for a relay on this machine.
_SECURITY: Final[dict[str, tuple[Security, int]]] = {
    "smtps": ("tls", 465), "smtp": ("starttls", 587), "smtp+plain": ("none", 25)
}  # fmt: skip


@dataclass(frozen=True)
class Mail:
    """A mail server and who reads."""

    host: str
    port: int
    security: Security
    sender: str
    readers: Sequence[str]
    user: str = ""
    password: SecretStr | None = None

    def send(self, subject: str, text: str, number: str) -> None:
        """Send one message. Raises ChannelAway or ChannelRefused; refused too when one reader of several is."""
        mail = EmailMessage()
        # One line, whatever the subject was made of: a line break would begin another header.
        mail["Subject"], mail["From"], mail["To"] = " ".join(subject.split()), self.sender, ", ".join(self.readers)
        mail["Message-ID"] = make_msgid(
            idstring="".join(c if c.isalnum() else "-" for c in number)[:60], domain="payments"
        )
        mail.set_content(text)
        try:
            with self._session() as session:
                if self.user:
                    session.login(self.user, self.password.get_secret_value() if self.password else "")
                refused = session.send_message(mail)
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPResponseException) as error:
            codes = [code for code, _ in error.recipients.values()] if isinstance(
                error, smtplib.SMTPRecipientsRefused) else [error.smtp_code]  # fmt: skip
            said = f"the mail server answered {', '.join(map(str, codes))}"
            if all(400 <= code < 500 for code in codes):
                raise ChannelAway(said) from None
            raise ChannelRefused(said) from None
        except (OSError, smtplib.SMTPException) as error:
            raise ChannelAway(f"the mail server does not answer: {type(error).__name__}") from None
        if refused:
            raise ChannelRefused(f"the mail server refused {len(refused)} of {len(self.readers)} readers")

    def _session(self) -> smtplib.SMTP:
        if self.security == "tls":
            return smtplib.SMTP_SSL(self.host, self.port, timeout=SECONDS, context=ssl.create_default_context())
        session = smtplib.SMTP(self.host, self.port, timeout=SECONDS)
        if self.security == "starttls":
            session.starttls(context=ssl.create_default_context())
        return session


def parse_mail(url: str, sender: str, readers: str) -> Mail:
    """Read ``smtp://user:password@host:port`` and readers parted by commas.

    Raises ValueError naming what is missing, never the address itself: it holds a password.
    """
    parts = urlsplit(url)
    if parts.scheme not in _SECURITY:
        raise ValueError(f"a mail server's address starts with {', '.join(f'{it}://' for it in _SECURITY)}")
    names = tuple(name.strip() for name in readers.split(",") if name.strip())
    lacking = [what for what, it in (("host", parts.hostname), ("sender", sender), ("readers", names)) if not it]
    if lacking:
        raise ValueError(f"e-mail lacks its {', '.join(lacking)}")
    security, port = _SECURITY[parts.scheme]
    return Mail(
        parts.hostname or "", parts.port or port, security, sender, names,
        unquote(parts.username or ""), SecretStr(unquote(parts.password or "")),
    )  # fmt: skip
