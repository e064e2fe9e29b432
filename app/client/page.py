"""A page of a server as a value: its JSON, its links, its table and its vectors. Knows no way to ask for another page."""

import io
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .errors import LensError
from .picture import draw
from .table import Table, read_csv, read_rows, require
from .talk import Query, Talk

if TYPE_CHECKING:
    import numpy as np
    import pandas
    import polars
    import pyarrow

OF_VIEWS = {"page", "sort", "only", "find"}
"""Options of what a page shows of a table, which vectors do not have; a file has all pages."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Page:
    """What a server says of one address. Its fields are attributes and items: `page.directions`, `page["directions"]`."""

    path: str
    """The address below the server, such as demo/L5/H3/ov."""
    json: Mapping[str, Any]
    """All of it, as the API sends it."""
    _query: Query = field(default_factory=dict)
    _tokens: int | None = None
    """Tokens at either end of a row of its table; None for as many as the server gives."""
    _talk: Talk | None = None

    @property
    def url(self) -> str:
        """The link to the page for people."""
        return self._link("page")

    @property
    def pinned(self) -> str:
        """The link that is pinned to these very weights; empty where a page has none."""
        return self._link("pinned")

    def to_pandas(self, of: str = "") -> "pandas.DataFrame":
        """Make a pandas.DataFrame; see `table`."""
        return self.table(of).to_pandas()

    def to_polars(self, of: str = "") -> "polars.DataFrame":
        """Make a polars.DataFrame; see `table`."""
        return self.table(of).to_polars()

    def to_arrow(self, of: str = "") -> "pyarrow.Table":
        """Make a pyarrow.Table; see `table`."""
        return self.table(of).to_arrow()

    def table(self, of: str = "") -> Table:
        """Read the page's table, whole; or, where a list of its JSON is named, that: `of="left.plus"`.

        Of a head or a matrix a row for each direction and side, of a direction one for each token, of a search one for
        each end, of an experiment one for each prompt: the columns are those of the CSV. LensError where a page has none.
        """
        if of:
            return read_rows(self._find_list(of))
        said = dict(self._query) | ({} if self._tokens is None else {"k": str(self._tokens)})
        try:
            return read_csv(self._read_file("csv", "text/csv", said))
        except ValueError as error:
            raise LensError(f"The table of {self.path} is no CSV of singular-lens: {error}.") from error
        except LensError as error:
            if error.status in {200, 404, 422} and (lists := [name for name in self.json if self._is_list(name)]):
                error.add_note(f"Lists of its JSON are tables, too: to_pandas({lists[0]!r}), of {', '.join(lists)}.")
            raise

    def vectors(self) -> "dict[str, np.ndarray[Any, Any]]":
        """Read the vectors of a matrix or a direction: `left` and `right` [n d], `strength` and `index` [n], and their origin.

        `left_is` and `right_is` say which side each is. LensError where a page has none; ImportError without numpy.
        """
        numpy = require("numpy")
        said = {name: own for name, own in self._query.items() if name not in OF_VIEWS}
        content = self._read_file("npz", "application/octet-stream", said)
        try:
            with numpy.load(io.BytesIO(content), allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise LensError(f"The vectors of {self.path} are no file of NumPy's: {error}.") from error

    def keys(self) -> Iterator[str]:
        """Name the fields."""
        return iter(self.json)

    def __getitem__(self, name: str) -> Any:
        return self.json[name]

    def __contains__(self, name: object) -> bool:
        return name in self.json

    def __iter__(self) -> Iterator[str]:
        return iter(self.json)

    def __getattr__(self, name: str) -> Any:
        # Without the guard a copy that has no fields yet would look for its JSON in its JSON.
        if not name.startswith("_") and name not in {"json", "path"} and name in self.json:
            return self.json[name]
        raise AttributeError(f"this page has no {name}: it has {', '.join(self.json)}" if name[:1] != "_" else name)

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *(name for name in self.json if name.isidentifier())})

    def __repr__(self) -> str:
        return f"Page({self.path!r}: {', '.join(self.json)})"

    def _repr_html_(self) -> str:
        """Draw it for a notebook: a small table, every token escaped, without a script or a style."""
        return draw(self.json, self.path, self.url)

    def _link(self, name: str) -> str:
        links = self.json.get("links")
        path = links.get(name) if isinstance(links, dict) else self.json.get(name)
        if self._talk is None or not isinstance(path, str):
            return ""
        link = self._talk.link(path)
        return link if link.startswith(("http://", "https://")) else ""

    def _find_list(self, of: str) -> list[Any]:
        found: Any = self.json
        for name in of.split("."):
            found = found.get(name) if isinstance(found, dict) else None
        if not isinstance(found, list):
            lists = [name for name in self.json if self._is_list(name)]
            raise LensError(f"{self.path} has no list called {of}: it has {', '.join(lists) or 'none'}.")
        return found

    def _is_list(self, name: str) -> bool:
        return isinstance(self.json[name], list)

    def _read_file(self, format_: str, kind: str, said: Query) -> bytes:
        if self._talk is None:
            raise LensError(f"{self.path} was not read from a server.")
        query = {name: own for name, own in said.items() if name != "page"} | {"format": format_}
        return self._talk.read_file(self.path, query, kind)
