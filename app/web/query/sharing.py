"""Forms of lists of places, and of what a site asks that puts a page in a frame."""

from pydantic import field_validator

from app.web.query.form import Query, option_field, without_controls


class OembedQuery(Query):
    """What a site that puts a page in a frame asks."""

    url: str = option_field("url", "oembed")
    maxwidth: int | None = option_field("maxwidth", "oembed")
    maxheight: int | None = option_field("maxheight", "oembed")
    format: str = option_field("format", "oembed")


class ListQuery(Query):
    """The options of a list of places."""

    title: str = option_field("title", "list")
    of: str = option_field("of", "list")

    @field_validator("title", "of")
    @classmethod
    def _is_text(cls, text: str) -> str:
        return without_controls(text)
