"""Links of a server's own pages: lists, notes, jobs, settings, and what explains them."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from app.store.jobs import Task
from app.web.urls.paths import LIST, NOTES
from app.web.urls.places import PlaceUrls
from app.web.urls.spelling import spell_query


@dataclass(frozen=True, slots=True)
class OwnUrls(PlaceUrls):
    """Links of what belongs to no model."""

    def list_of(self, title: str, spelt: Sequence[str]) -> str:
        """Link a list of places.

        Example: list_of("colours", ["gpt2/L5/H3", "gpt2/L6/H0~raw"]) -> "/-/list?title=colours&of=gpt2/L5/H3,gpt2/L6/H0~raw"
        """
        return f"{self.root}/-/{LIST}?{self._list_query(title, spelt)}"

    def list_url(self, title: str, spelt: Sequence[str]) -> str:
        """Link a list absolutely."""
        return f"{self.origin}/-/{LIST}?{self._list_query(title, spelt)}"

    @staticmethod
    def _list_query(title: str, spelt: Sequence[str]) -> str:
        said = ({"title": title} if title else {}) | {"of": ",".join(spelt)}
        return urlencode(said, safe="/~@,")

    def notes(self) -> str:
        """Link the page of what a visitor noted."""
        return f"{self.root}/-/{NOTES}"

    def glossary(self, key: str = "") -> str:
        """Link the glossary, or one of its entries."""
        return f"{self.root}/-/glossary" + (f"#{key}" if key else "")

    def settings(self) -> str:
        """Link the settings page."""
        return f"{self.root}/-/settings"

    def docs(self) -> str:
        """Link the page about the API."""
        return f"{self.root}/docs"

    def openapi(self) -> str:
        """Link the OpenAPI document."""
        return f"{self.root}/openapi.json"

    def jobs(self, slug: str | None = None, *, live: bool = False) -> str:
        """Link the jobs: all, those of one model, or only live ones; a POST starts one."""
        return f"{self.root}/-/jobs{_jobs_query(slug, live)}"

    def wish(self, slug: str, task: Task) -> str:
        """Link the POST that starts a job.

        Example: wish("demo", Task(("embed",))) -> "/-/jobs?model=demo&matrices=embed&weights=folded"
        """
        said: dict[str, object] = {"model": slug, "matrices": ",".join(task.matrices)}
        said |= {"weights": ",".join(task.processings)} | dict(task.parameters)
        return f"{self.root}/-/jobs{spell_query('wish', None, said | ({} if task.basis == 'svd' else {'basis': task.basis}))}"

    def wish_import(self, slug: str) -> str:
        """Where a POST begins the import of a model again."""
        return f"{self.root}/-/jobs{spell_query('wish', None, {'model': slug, 'kind': 'import'})}"

    def job(self, id_: str) -> str:
        """Link the page of a job."""
        return f"{self.root}/-/jobs/{id_}"

    def job_events(self, id_: str) -> str:
        """Link the event stream of a job."""
        return f"{self.job(id_)}/events"

    def job_cancel(self, id_: str) -> str:
        """Link the POST that cancels a job."""
        return f"{self.job(id_)}/cancel"

    def jobs_api(self, slug: str | None = None, *, live: bool = False) -> str:
        """Link the JSON twin of the jobs."""
        return f"{self.root}/api/v1/-/jobs{_jobs_query(slug, live)}"

    def job_api(self, id_: str) -> str:
        """Link the JSON twin of a job."""
        return f"{self.jobs_api()}/{id_}"


def _jobs_query(slug: str | None, live: bool) -> str:
    said: dict[str, object] = {"model": slug} if slug else {}
    return spell_query("jobs", None, said | ({"live": "true"} if live else {}))
