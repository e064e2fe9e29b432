"""The fields of a form that a visitor sends in a body. Knows no page."""

from urllib.parse import parse_qsl

from app.explorer.errors import BadOption

MOST_FIELDS = 20
"""Fields of a form that are read."""


def read_form(body: bytes) -> dict[str, str]:
    """Read the fields of a form; BadOption if they are none of ours, or no text."""
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS))
    except UnicodeDecodeError:
        raise BadOption("This form holds bytes that are no text: a prompt is sent in UTF-8.") from None
    except ValueError:
        raise BadOption(f"This is no form of this server: it has more than {MOST_FIELDS} fields.") from None
