"""The lens: a server, or a data folder in this process, asked by the addresses of its pages.

Knows which address answers which question, and no HTTP.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, unquote

import httpx

from .errors import LensError
from .inside import BASE, open_folder
from .page import Page
from .table import Table
from .talk import Talk, Tell

SECONDS = 60.0
"""How long one page is waited for, unless told otherwise."""

Option = str | int | float | bool | None


class Lens:
    """A server of singular-lens, or with `data=` a data folder that this process serves to itself.

    `timeout`: seconds that each page is waited for while it is computed; `tell`: is called with each `Wait`, such as
    `print`; `headers`: sent with every request, for a proxy that wants to know who asks. Close it, or use `with`: a data
    folder has processes that end then.

    Example: Lens("http://127.0.0.1:8000")["demo/L1/H3/ov"].to_pandas()
    """

    def __init__(
        self,
        url: str = "",
        *,
        data: str | Path | None = None,
        models: Sequence[str] = (),
        timeout: float = SECONDS,
        tell: Tell | None = None,
        headers: Mapping[str, str] | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        if bool(url) == (data is not None):
            raise LensError(
                "Name a server, as Lens('http://127.0.0.1:8000'), or a folder, as Lens(data='…'), not both."
            )
        inside = None if data is None else open_folder(data, models)
        self._talk = Talk(url or BASE, timeout, tell, headers, transport or inside)

    def __getitem__(self, address: str) -> Page:
        """Get the page of an address, or of a link to this server; see `get`."""
        return self.get(address)

    def __iter__(self) -> Iterator[str]:
        """Name the models."""
        return (str(model["slug"]) for model in self.models())

    def __enter__(self) -> "Lens":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Lens({self._talk.base!r})"

    def close(self) -> None:
        """Close the connections; with a data folder, end its workers."""
        self._talk.close()

    def models(self) -> list[dict[str, Any]]:
        """List the models: `slug`, `state`, and `model` with its facts once it is imported."""
        found = self._talk.read_json("", {}).get("models")
        if not isinstance(found, list) or not all(isinstance(one, dict) and "slug" in one for one in found):
            raise LensError(f"{self._talk.base} answers, but not as a server of singular-lens.")
        return found

    def get(self, address: str, **options: Option) -> Page:
        """Get the page of an address, with the options of its query; a name such as `from` is spelt `from_`.

        `k` is of its table: tokens at either end of a row. LensError where there is no such page, or it does not come in
        time.

        Example: lens.get("demo/L1/H3/ov", weights="raw", k=50)
        """
        path, query, tokens = self._read(address, options)
        return Page(path, self._talk.read_json(path, query), query, tokens, self._talk)

    def table(self, address: str, **options: Option) -> Table:
        """Read the table of an address without the rest of its page, which is less to ask of a server.

        Example: lens.table("demo/L1/H3/ov", k=50).to_pandas()
        """
        path, query, tokens = self._read(address, options)
        return Page(path, {}, query, tokens, self._talk).table()

    def each(self, addresses: Iterable[str], **options: Option) -> Iterator[Page]:
        """Get the pages of several addresses, one after the other, each when it is its turn."""
        return (self.get(address, **options) for address in addresses)

    def search(self, model: str, words: str, **options: Option) -> Page:
        """Search a model for the ends of directions that are nearest to words: a table of all that were found.

        Example: lens.search("demo", "writing, wrote", order="alignment")
        """
        return self.get(f"{model}/search", q=words, **options)

    def token(self, model: str, token: str | int, **options: Option) -> Page:
        """Get what writes, reads and looks for a token, named by its exact text or by its number."""
        if isinstance(token, int):
            return self.get(f"{model}/token/{token}", **options)
        found = self.get(f"{model}/token", text=token, **options)
        return Page(f"{model}/token/{found['id']}", found.json, {}, None, self._talk)

    def prompt(self, model: str, text: str, **options: Option) -> Page:
        """Run a model on a text: what comes next, and which directions speak for it. The text stands in no address.

        `token`, `against`, `at` and the like are those of the page.
        """
        key = self._talk.send_form(f"{model}/prompt", {"text": text})
        return self.get(f"{model}/p/{key}", **options)

    def edit(self, prompt: Page, edit: str, **options: Option) -> Page:
        """Get what a prompt says where heads are edited along directions, beside random edits.

        Example: lens.edit(prompt, "L1H2.ov.3:-1")
        """
        return self._change(prompt, "edit", options | {"edit": edit})

    def steer(self, prompt: Page, of: str, **options: Option) -> Page:
        """Get what a prompt says where the stream is pushed along the end of a direction, beside random pushes.

        Example: lens.steer(prompt, "L1H2.ov.3p", c=4)
        """
        return self._change(prompt, "steer", options | {"of": of})

    def sara(self, prompt: Page, attract: str | Page, repel: str | Page, **options: Option) -> Page:
        """Get what a prompt says where its stream is drawn to one text and away from another (SARA)."""
        model = _model_of(prompt)
        texts = {"attract": attract, "repel": repel}
        others = {name: self.prompt(model, own) if isinstance(own, str) else own for name, own in texts.items()}
        return self._change(prompt, "sara", options | {name: str(own["key"]) for name, own in others.items()})

    def experiment(self, model: str, prompts: Iterable[str], **change: Option) -> Page:
        """Try one change on many prompts, each beside random changes: waits until all of them were run.

        The change is `edit=`, or `of=` with `c=` and `layer=`, or `attract=` and `repel=` with `rule=`, `pull=` and
        `layer=`; `random=8` draws more.
        """
        lines = [" ".join(text.splitlines()) for text in prompts]
        fields = {"prompts": "\n".join(lines)} | {name: _spell(own) for name, own in change.items() if own is not None}
        return self.get(f"{model}/x/{self._talk.send_form(f'{model}/x', fields)}")

    def _change(self, prompt: Page, how: str, options: Mapping[str, Option]) -> Page:
        _model_of(prompt)
        return self.get(f"{prompt.path}/{how}", **({"weights": prompt.json.get("weights")} | dict(options)))

    def _read(self, address: str, options: Mapping[str, Option]) -> tuple[str, dict[str, str], int | None]:
        """Read an address and its options: path, query, and the tokens of its table."""
        path, query = self._split(address)
        query |= {name.removesuffix("_"): _spell(own) for name, own in options.items() if own is not None}
        tokens = query.pop("k", None)
        if tokens is not None and not (tokens.isascii() and tokens.isdecimal()):
            raise LensError(f"k is a number of tokens, not {tokens!r}.")
        return path, query, None if tokens is None else int(tokens)

    def _split(self, address: str) -> tuple[str, dict[str, str]]:
        """Split an address, or a link to this server, into its path and its query."""
        base = self._talk.base
        if address.startswith(("http://", "https://")):
            if not f"{address}/".startswith(base):
                raise LensError(f"{address} is a page of another server than {base}")
            address = address.removeprefix(base.rstrip("/"))
        path, _, query = address.partition("#")[0].partition("?")
        path = unquote(path).strip("/").removeprefix("api/v1/")
        if {".", ".."} & set(path.split("/")):
            raise LensError(f"{address!r} is no address: expected one such as MODEL/L5/H3/ov.")
        return path, dict(parse_qsl(query))


def _model_of(prompt: Page) -> str:
    """Return the model of the page of a prompt; LensError if it is another page."""
    model, between, _ = prompt.path.rpartition("/p/")
    if not between:
        raise LensError(f"{prompt.path} is no prompt that was run: lens.prompt(model, text) runs one.")
    return model


def _spell(own: Option) -> str:
    return str(int(own)) if isinstance(own, bool) else str(own)
