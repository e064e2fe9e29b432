"""Forms of the list of jobs, and of a job that somebody starts."""

from typing import Literal

from app.web.query.form import Query, option_field
from app.web.query.matrix import FitQuery


class JobsQuery(Query):
    """The options of the list of jobs."""

    model: str | None = option_field("model", "jobs")
    live: bool = option_field("live", "jobs")


class WishQuery(FitQuery):
    """The options of a job: what it computes."""

    model: str = option_field("model", "wish")
    kind: Literal["matrices", "import"] = option_field("kind", "wish")
    weights: str | None = option_field("weights", "wish")
    matrices: str | None = option_field("matrices", "wish")
    basis: str | None = option_field("basis", "wish")
