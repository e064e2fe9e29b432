"""Settings: the options of an operator, from the environment or the command line.

Read by `server` and `__main__` only; everything below them gets plain values. Created when the server starts, never at
import.
"""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


def default_data() -> Path:
    """Return the default folder for weights and artifacts."""
    return Path.home() / ".local" / "share" / "singular-lens"


def parse_network(words: str) -> str:
    """Parse an address or a network, as a network; ValueError if it is neither.

    Example: parse_network("10.0.0.1") -> "10.0.0.1/32"
    """
    try:
        found = ipaddress.ip_network(words, strict=False)
    except ValueError:
        raise ValueError(f"no address or network, such as 10.0.0.1 or 10.0.0.0/8: {words[:60]!r}") from None
    if ipaddress.ip_address(words.partition("/")[0]) != found.network_address:
        raise ValueError(f"an address within a network and no network: is {found} meant?")
    if found.prefixlen == 0:
        raise ValueError(f"{found} is everybody, who could then call themselves by any address")
    return str(found)


LOOPBACK_NAMES = ("localhost",)


def is_loopback(words: str) -> bool:
    """Return whether an address is this machine's own; False for what is no address.

    Example: is_loopback("127.0.0.1") -> True
    """
    try:
        return ipaddress.ip_address(words).is_loopback
    except ValueError:
        return False


HostName = Annotated[str, StringConstraints(to_lower=True, pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,252})$")]


NetworkName = Annotated[str, AfterValidator(parse_network)]


FrameSources = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        pattern=r"^(\*|'none'|'self'|https?://[A-Za-z0-9*.-]+(:\d{1,5})?( +https?://[A-Za-z0-9*.-]+(:\d{1,5})?)*)$",
        max_length=1_000,
    ),
]


class Settings(BaseSettings):
    """Every setting, with its default and one sentence; `SINGULAR_LENS_PORT=80` and `--port 80` are the same."""

    model_config = SettingsConfigDict(env_prefix="SINGULAR_LENS_", frozen=True)

    models: Annotated[tuple[str, ...], NoDecode] = Field(
        ("demo",),
        min_length=1,
        description="Models to serve, separated by commas: smollm2, demo, names given at import, hub ids, folders or GGUF files.",
    )
    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 serves other machines.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    data: Path = Field(default_factory=default_data, description="Folder for weights and artifacts.")
    device: str = Field(
        "auto", pattern=r"^(auto|cpu|cuda(:\d{1,2})?)$", description="Where to compute: auto, cpu, cuda or cuda:1."
    )
    weights: Literal["folded", "raw"] = Field(
        "folded", description="Weight processing shown first, where it is sound; visitors can switch."
    )
    public_url: str = Field(
        "",
        pattern=r"^(https?://[^\s?#]+)?$",
        description="Address that copied links start with, if not the one in the request.",
    )
    frame_ancestors: FrameSources = Field(
        "*",
        description="Sites that may show pages with embed=1 in a frame: * for all, 'none' for none, or addresses such as "
        "https://huggingface.co with spaces between them. No other page is ever framed.",
    )
    root_path: str = Field(
        "",
        pattern=r"^(/[A-Za-z0-9._~/-]*[A-Za-z0-9._~-])?$",
        description="Path under which a proxy serves the app, such as /lens.",
    )
    allowed_hosts: Annotated[tuple[HostName, ...], NoDecode] = Field(
        (),
        description="Host names to answer to besides localhost, those of host and public_url, and numeric addresses, "
        "separated by commas; where nothing names one, 0.0.0.0 answers to all.",
    )
    trusted_proxies: Annotated[tuple[NetworkName, ...], NoDecode] = Field(
        (),
        description="Addresses and networks of proxies whose X-Forwarded-For says who asks, separated by commas; without "
        "them, all who come through a proxy share one visitor's places in the line of computations, and count as no visitors "
        "on this machine.",
    )
    quota_gib: float = Field(
        20.0,
        gt=0,
        le=100_000,
        description="Artifacts to keep on disk, in GiB; the least recently used go first. At most nine "
        "tenths are what the operator's precompute computed or found, which no visit and no visitor's job deletes.",
    )
    memory_mib: int = Field(
        128,
        ge=1,
        le=1_000_000,
        description="Artifacts and answers to keep in memory, in MiB; the least recently used go first.",
    )
    queue_size: int = Field(
        64, ge=1, le=10_000, description="Computations that may wait, four of one visitor; one more is answered 503."
    )
    wait_seconds: float = Field(
        2.0, ge=0, le=60, description="How long a page waits for its computation before it shows progress."
    )
    waiters: int = Field(
        8, ge=0, le=256, description="Pages that may wait at once; further ones show progress at once."
    )

    allow_jobs: bool = Field(
        False,
        description="Let pages start and cancel jobs that compute every head of a model, which keep the machine busy for "
        "long, and cancel imports or begin one again that failed; whoever reaches the server may then.",
    )
    precompute: bool | None = Field(
        None,
        description="Compute every matrix of the server's models once they are imported, behind all other work; unless "
        "told otherwise, of smollm2 alone, and of others their banks, which searches rest on.",
    )

    public: bool = Field(
        False,
        description="Serve the public: pages of what was computed beforehand and no others, no jobs, no prompts, answers "
        "that a CDN may keep. What the operator asks for is computed behind all the same, every matrix unless told "
        "otherwise.",
    )
    status: Literal["off", "local", "public"] = Field(
        "local",
        description="Who may read the counters at /-/status: nobody (off), visitors on this machine (local), or all who "
        "reach the server (public).",
    )

    prompts: Literal["off", "local", "public"] | None = Field(
        None,
        description="Who may run a model on a text of their own: nobody (off), visitors on this machine (local), or all who "
        "reach the server (public). Unless told otherwise: local where the server listens to this machine alone, else off.",
    )
    generation: Literal["off", "local", "public"] | None = Field(
        None,
        description="Who may have the model continue a prompt, among those who may run one: nobody (off), visitors on this "
        "machine (local), or all (public). Unless told otherwise: local where the server listens to this machine alone, else "
        "off.",
    )
    prompt_tokens: int = Field(256, ge=2, le=1_024, description="Tokens that a prompt may have.")
    prompt_kib: int = Field(4, ge=1, le=16, description="Size of a prompt's text before it is cut into tokens, in KiB.")
    prompt_waiters: int = Field(
        8, ge=1, le=256, description="Prompts that may wait for a model, four of one visitor; one more is answered 429."
    )

    @property
    def prompts_for(self) -> Literal["off", "local", "public"]:
        """Return who may run prompts, the default filled in."""
        if self.public:
            return "off"
        return self._default_audience() if self.prompts is None else self.prompts

    @property
    def generation_for(self) -> Literal["off", "local", "public"]:
        """Return who may have a prompt continued, the default filled in: nobody where nobody runs one."""
        if self.prompts_for == "off":
            return "off"
        return self._default_audience() if self.generation is None else self.generation

    @property
    def computes_for_visits(self) -> bool:
        """Return whether a visit may have something computed: what it does not find."""
        return not self.public

    @property
    def precompute_of(self) -> Literal["nothing", "usual", "all"]:
        """Return of which models every matrix is computed before anyone asks: none, not even a bank; the usual ones; all.

        To the public what is not computed is not there, so without a word from the operator all of it is.
        """
        if self.precompute is None:
            return "all" if self.public else "usual"
        return "all" if self.precompute else "nothing"

    def _default_audience(self) -> Literal["off", "local"]:
        return "local" if self.host in LOOPBACK_NAMES or is_loopback(self.host) else "off"

    @model_validator(mode="after")
    def _refuse_contradiction(self) -> Self:
        """Refuse what a public server never does, should it be asked for as well."""
        refused = {
            "allow_jobs": self.allow_jobs,
            "prompts": self.prompts not in {None, "off"},
            "generation": self.generation not in {None, "off"},
        }
        asked = [f"SINGULAR_LENS_{name.upper()}" for name, is_asked in refused.items() if self.public and is_asked]
        if asked:
            raise ValueError(
                f"a public server computes nothing for visits: {' and '.join(asked)} cannot be set beside "
                "SINGULAR_LENS_PUBLIC. Leave the one or the other out."
            )
        return self

    @field_validator("data", mode="before")
    @classmethod
    def _refuse_empty(cls, value: object) -> object:
        """Refuse an empty folder name, which a path would take for the current folder."""
        if value == "":
            raise ValueError("a folder must be named")
        return value

    @field_validator("models", "allowed_hosts", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """Split a comma-separated list: `SINGULAR_LENS_MODELS=demo,gpt2` names two models."""
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, tuple | list):
            return value
        return tuple(filter(None, (str(part).strip() for part in parts)))
