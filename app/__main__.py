"""The command `singular-lens`: serve | import | precompute | store.

Turns words on a command line into settings and calls; knows no maths and no HTML. Libraries that take seconds to
import are imported by the command that needs them.
"""

import logging
import os
import shutil
import socket
import stat
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from pydantic import ValidationError

from app.config import Settings
from app.interruption import exit_on_interrupt
from app.terminal import PlainLines, ProgressLine, format_bytes, say, stop

if TYPE_CHECKING:
    from app.explorer.library import OpenModel
    from app.models.naming import Named
    from app.store.artifacts import ArtifactStore

SELDOM = (10_000, 20, 50)
"""Thresholds of Python's collector of cycles: new objects before a collection, and collections before older
generations."""

cli = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)


def option(field: str, *names: str) -> Any:
    """Build the command-line option of a setting: its description and default come from `Settings`."""
    info = Settings.model_fields[field]
    shown = " ".join(info.default) if isinstance(info.default, tuple) else info.default or "none"
    default = "" if info.default_factory or info.default is False or info.default is None else f" (default: {shown})"
    return typer.Option(*names, help=(info.description or "") + default, show_default=False)


@cli.callback()
def describe() -> None:
    """Look inside the weights of language models: an explorer of their singular directions."""


@cli.command()
def serve(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...",
            help="smollm2, demo, imported names, Hugging Face ids, folders or GGUF files. (default: demo)",
        ),
    ] = None,
    host: Annotated[str | None, option("host")] = None,
    port: Annotated[int | None, option("port")] = None,
    data: Annotated[str | None, option("data")] = None,
    device: Annotated[str | None, option("device")] = None,
    weights: Annotated[str | None, option("weights")] = None,
    public_url: Annotated[str | None, option("public_url")] = None,
    root_path: Annotated[str | None, option("root_path")] = None,
    allow_jobs: Annotated[bool | None, option("allow_jobs", "--allow-jobs")] = None,
    precompute: Annotated[bool | None, option("precompute", "--precompute/--no-precompute")] = None,
    public: Annotated[bool | None, option("public", "--public")] = None,
    status: Annotated[str | None, option("status")] = None,
    prompts: Annotated[str | None, option("prompts")] = None,
    generation: Annotated[str | None, option("generation")] = None,
) -> None:
    """Serve models in the browser; what is missing is imported first.

    Every setting can also come from the environment, as SINGULAR_LENS_PORT and the like.
    """
    run_server(
        _read_settings(
            models=tuple(models) if models else None,
            host=host,
            port=port,
            data=data,
            device=device,
            weights=weights,
            public_url=public_url,
            root_path=root_path,
            allow_jobs=allow_jobs,
            precompute=precompute,
            public=public,
            status=status,
            prompts=prompts,
            generation=generation,
        )
    )


def run_server(settings: Settings) -> None:
    """Listen until interrupted; exit status 1 with a sentence if the address cannot be had."""

    import uvicorn

    from app.server import create_app, end_streams
    from app.web.guard.crowd import ACCEPTED_AT_ONCE, BACKLOG, Crowd, TooFewFiles, bound_connections, raise_file_limit
    from app.web.guard.wire import LARGEST_HEAD, Listener, Wire

    _refuse_device(settings.device)
    _make_data_folder(settings.data)
    named = _name_models(settings.data, settings.models)
    try:
        crowd = Crowd(bound_connections(raise_file_limit()), probes={"/livez"}, root=settings.root_path)
    except TooFewFiles as refusal:
        stop(str(refusal))
    log = logging.StreamHandler(sys.stderr)
    log.setFormatter(PlainLines())
    logging.basicConfig(level=logging.INFO, handlers=[log])
    _collect_seldom()
    app = create_app(settings, named)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,  # its own would print without our formatter, which escapes control characters
        log_level="error",  # faulty requests of visitors are not worth logging, and there may be thousands
        loop="asyncio",  # other loops do not bound what they take in one turn
        backlog=ACCEPTED_AT_ONCE,
        http=Wire,
        ws="none",  # no page uses websockets
        h11_max_incomplete_event_size=LARGEST_HEAD,
        timeout_keep_alive=5,  # browsers come back at once or not at all, and an idle visitor costs a file descriptor
        timeout_graceful_shutdown=5,  # Ctrl-C does not wait for whoever reads slowly
        proxy_headers=False,  # anybody can send X-Forwarded-…: the operator gives --public-url
        server_header=False,
    )
    try:
        listener = config.bind_socket()
    except SystemExit:
        stop(
            f"cannot listen on {settings.host}:{settings.port}: is another server there, or is that no address of this "
            "machine? --port 0 finds a free port"
        )
    # Send answers at once: without this, a further answer on a kept-alive connection waits 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.listen(BACKLOG)  # from here on, requests before the app is ready wait in line
    shown_host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = settings.public_url or f"http://{shown_host}:{listener.getsockname()[1]}{settings.root_path}"
    say(f"singular-lens: {address.rstrip('/')}/   (Ctrl-C stops it)", err=True)
    Listener(config, crowd, partial(end_streams, app)).run(sockets=[listener])


@cli.command("import")
def import_(
    source: Annotated[
        str, typer.Argument(metavar="NAME|FOLDER", help="smollm2, demo, a Hugging Face id, a folder or a GGUF file.")
    ],
    name: Annotated[
        str | None, typer.Option(metavar="SLUG", help="Name in the URLs. (default: from the source)")
    ] = None,
    revision: Annotated[str | None, typer.Option(metavar="SHA", help="Revision of a Hugging Face id.")] = None,
    data: Annotated[str | None, option("data")] = None,
    job: Annotated[str | None, typer.Option(hidden=True, help="The job of the server that started us.")] = None,
    parent: Annotated[int | None, typer.Option(hidden=True, help="Stop when that process is gone.")] = None,
) -> None:
    """Import a model: check it and keep its weights where `serve` finds them.

    Job pages of servers with the same data folder show how far it is.
    """
    from app.explorer.running.children import end_with_parent

    if parent is not None:
        end_with_parent(parent)
    with exit_on_interrupt("singular-lens: interrupted. Running the same command again continues"):
        _import(source, _read_settings(data=data).data, name, revision, job)


def _import(source: str, data: Path, name: str | None, revision: str | None, job_id: str | None = None) -> None:
    from app.jobs.record import JobCancelled, note_job
    from app.jobs.steps import ImportStep
    from app.models.catalog import Catalog, SlugError
    from app.models.importing.importer import ImportRefused, Progress, import_model
    from app.models.importing.source import default_slug
    from app.store.jobs import JobStore
    from app.store.presence import mark_in_use

    def report(step: Progress) -> None:
        if job_id is None:  # else the server shows it
            counted = f"[{step.done}/{step.total}] " if step.total else ""
            say(counted + step.message, err=True)
        notes.follow(ImportStep(step.message, step.done, step.total))
        notes.check()

    _make_data_folder(data)
    try:
        slug = default_slug(source) if name is None else name
        Catalog(data).check(slug)  # before anything is noted of it
        store = JobStore(data / "jobs")
        job = (store.get(job_id) if job_id else None) or store.new_import(slug)
        with mark_in_use(data), note_job(store, job) as notes:
            manifest = import_model(source, data, slug=slug, revision=revision, report=report)
    except (ImportRefused, SlugError, JobCancelled) as refusal:
        stop(str(refusal))
    except OSError as error:
        stop(_data_fault(data, error))
    say(f"{manifest.name}: {manifest.n_layers} layers x {manifest.n_heads} heads, {manifest.fingerprint[:12]}")


@cli.command()
def precompute(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="smollm2, demo, imported name, Hugging Face id, folder or GGUF file; imported if missing.",
        ),
    ],
    matrices: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="ov, qk, mlp-in, mlp-gate, mlp-out, embed, unembed, pos, heads/write, heads/read, or single ones such as "
            "L5/mlp-in; bank: what is searched; vectors: what files of vectors and comparisons are made of; linear-0-6: the "
            "linear map between two streams of the text that statistics are of; unlikely: what streams hold of unlikely tokens. (default: all that have the basis, and the bank)",
            show_default=False,
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="LIST", help="folded, raw or folded,raw. (default: what serve shows first)", show_default=False
        ),
    ] = None,
    basis: Annotated[
        str, typer.Option(metavar="NAME", help="svd, used, pca, nmf, ica, dictionary, neuron or frequency.")
    ] = "svd",
    components: Annotated[int | None, typer.Option(help="Of nmf and ica.", show_default=False)] = None,
    atoms: Annotated[int | None, typer.Option(help="Of dictionary.", show_default=False)] = None,
    sparsity: Annotated[
        int | None, typer.Option(help="Of dictionary: atoms that a sample uses at most.", show_default=False)
    ] = None,
    groups: Annotated[int | None, typer.Option(help="Of frequency.", show_default=False)] = None,
    seed: Annotated[int | None, typer.Option(help="Of nmf, ica and dictionary.", show_default=False)] = None,
    statistics: Annotated[
        int | None,
        typer.Option(help="Of used: the number of the statistics. (default: those that are shown)", show_default=False),
    ] = None,
    data: Annotated[str | None, option("data")] = None,
    device: Annotated[str | None, option("device")] = None,
    job: Annotated[str | None, typer.Option(hidden=True, help="The job of the server that started us.")] = None,
    ahead: Annotated[bool, typer.Option("--ahead", hidden=True, help="It is the server's own, no visitor's.")] = False,
    parent: Annotated[int | None, typer.Option(hidden=True, help="Stop when that process is gone.")] = None,
) -> None:
    """Compute the matrices of a model, so that their pages open at once; what is there already is left as it is.

    nmf, ica and dictionary are fits of minutes that only this computes, or a job that a visitor may begin. Interrupted at
    any point, the same command goes on from there; several at once share the matrices among them. Job pages of servers
    with the same data folder show how far it is.
    """
    from app.explorer.running.children import end_with_parent

    if parent is not None:
        end_with_parent(parent)
    settings = _read_settings(models=(model,), data=data, device=device)
    _refuse_device(settings.device)
    _make_data_folder(settings.data)
    with exit_on_interrupt("singular-lens: interrupted. Running the same command again continues"):
        parameters = {"components": components, "atoms": atoms, "sparsity": sparsity, "groups": groups, "seed": seed}
        parameters |= {"statistics": statistics}
        words = {"matrices": matrices, "weights": weights, "basis": basis, "parameters": parameters}
        # A visitor's job must not displace artifacts that the operator asked for.
        _precompute(settings, words, job, "visit" if job and not ahead else "operator")


@cli.command()
def statistics(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="smollm2, demo, imported name, Hugging Face id, folder or GGUF file; imported if missing.",
        ),
    ],
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="LIST", help="folded, raw or folded,raw. (default: what serve shows first)", show_default=False
        ),
    ] = None,
    text: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A text in UTF-8 that is run, in the place of one that the model writes: 32 windows of it, evenly spread.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[str | None, option("data")] = None,
    device: Annotated[str | None, option("device")] = None,
) -> None:
    """Let a model write text, run it, and note what its directions do there: pages then show what is used.

    GPT-2, GPT-NeoX, Llama, Qwen2, Qwen3, Gemma 2, Phi-3 and OLMo-2; others are refused by name.
    """
    from app.explorer.layout import USE_WORD

    settings = _read_settings(models=(model,), data=data, device=device)
    _refuse_device(settings.device)
    _make_data_folder(settings.data)
    with exit_on_interrupt("singular-lens: interrupted. Running the same command again continues"):
        _precompute(settings, {"matrices": USE_WORD, "weights": weights}, None, "operator", text)


@cli.command(hidden=True)
def worker(
    channel: Annotated[int, typer.Option(help="The open socket that the server left.")],
    parent: Annotated[int, typer.Option(help="The server; stop when it is gone.")],
    data: Annotated[str, option("data")],
    device: Annotated[str, option("device")],
    quota: Annotated[int, typer.Option(help="Bytes of artifacts to keep on disk.")],
) -> None:
    """Make what the server that started this asks for."""
    from app.explorer.making.maker import open_maker
    from app.explorer.running.processes import LAST_WORDS, run_worker
    from app.store.artifacts import ArtifactStore
    from app.store.presence import mark_in_use

    _require_socket(channel)
    _collect_seldom()
    folder = Path(data)
    with exit_on_interrupt(LAST_WORDS), mark_in_use(folder):
        store = ArtifactStore(folder / "artifacts", quota)
        run_worker(channel, parent, open_maker(folder, device, store), store)


@cli.command(hidden=True)
def live(
    channel: Annotated[int, typer.Option(help="The open socket that the server left.")],
    parent: Annotated[int, typer.Option(help="The server; stop when it is gone.")],
    data: Annotated[str, option("data")],
    device: Annotated[str, option("device")],
) -> None:
    """Run prompts for the server that started this."""
    from app.explorer.making.using.prompts import open_prompt_maker
    from app.explorer.running.processes import LAST_WORDS, run_worker
    from app.store.presence import mark_in_use
    from app.store.prompts import FOLDER, PromptStore

    _require_socket(channel)
    folder = Path(data)
    with exit_on_interrupt(LAST_WORDS), mark_in_use(folder):
        prompts = PromptStore(folder / FOLDER)
        run_worker(channel, parent, open_prompt_maker(folder, device, prompts), prompts.results)


def _require_socket(channel: int) -> None:
    """Stop unless that is an open socket: a person typed the command."""
    try:
        is_socket = stat.S_ISSOCK(os.fstat(channel).st_mode)
    except OSError:
        is_socket = False
    if not is_socket:
        stop(
            "this is what serve starts, with a socket that it leaves open; serve, import and precompute are for people"
        )


def _collect_seldom() -> None:
    """Collect cycles seldom: a collection takes as long as twenty pages, and pages and heads leave few cycles."""
    import gc

    gc.set_threshold(*SELDOM)


def _precompute(
    settings: Settings,
    words: dict[str, Any],
    job_id: str | None,
    asked_by: Literal["visit", "operator"],
    text: Path | None = None,
) -> None:
    from app.explorer.asking.tasks import read_wish
    from app.explorer.bank import BANK_WORD
    from app.explorer.errors import ExplorerError
    from app.explorer.layout import USE_WORD, VECTORS_WORD
    from app.explorer.making.tables import Tables
    from app.explorer.visits import jobs
    from app.jobs.precompute import estimate_bytes
    from app.jobs.precompute import precompute as steps_of
    from app.jobs.record import run_recorded
    from app.models.memory import is_of_memory
    from app.store.artifacts import ArtifactStore
    from app.store.jobs import JobStore
    from app.store.presence import mark_in_use
    from app.store.turns import stand_back

    model = _import_if_missing(settings.data, settings.models[0], is_name=job_id is not None)
    quota = int(settings.quota_gib * 2**30)
    shown = ProgressLine()
    with mark_in_use(settings.data):
        try:
            asked = read_wish(model, settings.weights, **words)
            artifacts = ArtifactStore(settings.data / "artifacts", quota, asked_by)
            tables = Tables(settings.device)
            _refuse_small_disk(settings.data, artifacts.measure_room(), estimate_bytes(artifacts, model, asked.task))
            store = JobStore(settings.data / "jobs")
            noted = (store.get(job_id) if job_id else None) or store.new(asked.slug, asked.fingerprint, asked.task)
            number = 0 if text is None else _keep_text(artifacts, model, text)
            for now in run_recorded(store, noted, steps_of(artifacts, tables, model, asked.task, number)):
                stand_back(settings.data, tables.device())
                done = now.matrices_done + now.matrices_found + now.part
                shown.show(jobs.progress_of(now), int(1000 * done), 1000 * now.matrices)
        except ExplorerError as error:
            shown.clear()
            stop(str(error))
        except Exception as error:
            if not is_of_memory(error):
                raise
            shown.clear()
            stop("there is not enough memory for this model; what was computed is kept")
    shown.clear()
    unsettled = f"; {now.unsettled / now.rays:.3%} of the rays settled the slower way" if now.rays else ""
    matrices = "matrix" if now.matrices_done == 1 else "matrices"
    found = f"{now.matrices_done} {matrices} computed, {now.matrices_found} found"
    if not now.matrices:
        called = {USE_WORD: "the statistics are", VECTORS_WORD: "the vectors are", BANK_WORD: "the bank is"}
        found = f"{next((called[word] for word in called if word in asked.task.matrices), 'it is')} here"
    say(f"{found}: {now.compute_seconds:.1f} s computing, {now.write_seconds:.1f} s writing{unsettled}")


def _keep_text(store: "ArtifactStore", model: "OpenModel", file: Path) -> int:
    """Keep windows of a text for statistics of use, and return the text's number; stops where it cannot be used."""
    import numpy as np

    from app.explorer.asking.texts import TextRefused, cut_windows
    from app.explorer.recipes import number_of_text, use_text

    try:
        ids = cut_windows(model, file.read_bytes())
    except OSError as error:
        stop(f"{file} cannot be read: {error.strerror}")
    except TextRefused as refusal:
        stop(f"{file}: {refusal}")
    windows = np.array(ids, np.int32)
    number = number_of_text(windows.tobytes())
    store.write(use_text(model, number), {"ids": windows}, {})
    return number


def _refuse_small_disk(data: Path, allowed: int, needed: tuple[int, int]) -> None:
    """Stop, before any work is done, if the results do not fit on disk; `needed`: bytes in all, and still to come.

    A server shows these sentences on the job's page.
    """
    in_all, to_come = needed
    if in_all > allowed:
        stop(
            f"all of it takes about {format_bytes(in_all)} on disk, and {format_bytes(allowed)} are allowed: what is computed first would "
            "be deleted before the last is there. Allow more with SINGULAR_LENS_QUOTA_GIB, or ask for less with "
            "--matrices or --weights"
        )
    if not os.access(data, os.W_OK):
        stop("nothing can be written to the data folder: what is computed could not be kept. --data names another")
    if to_come > (free := shutil.disk_usage(data).free):
        stop(
            f"about {format_bytes(to_come)} are to be written, and the data folder's disk has {format_bytes(free)} left"
        )


def _import_if_missing(data: Path, source: str, *, is_name: bool) -> "OpenModel":
    """Open the model, imported if missing; stops if it cannot be. `is_name`: the word is a slug, never a folder."""
    from app.explorer.library import Library
    from app.models.catalog import Catalog

    slug = source
    if not is_name:
        (named,) = _name_models(data, (source,))
        slug = named.slug
        if not named.is_here:
            _import(source, data, slug, None)
    try:
        model = Library(Catalog(data)).model(slug)
    except OSError as error:
        stop(_data_fault(data, error))
    if model is None:
        stop(f"the files of {slug!r} are missing or damaged: import it again")
    return model


def _name_models(data: Path, words: tuple[str, ...]) -> "tuple[Named, ...]":
    """Name the models of a command line; stops if one cannot be named, or a slug is another's."""
    from app.models.catalog import SlugError
    from app.models.naming import name_models
    from app.models.refusal import ImportRefused

    try:
        return name_models(data, words, partial(say, err=True))
    except (ImportRefused, SlugError) as refusal:
        stop(str(refusal))
    except OSError as error:
        stop(_data_fault(data, error))


store = typer.Typer(no_args_is_help=True, help="Look after the folder of weights and artifacts, also beside a server.")
cli.add_typer(store, name="store")


@store.command("verify")
def verify(data: Annotated[str | None, option("data")] = None) -> None:
    """Read and prove every byte that is kept; exit status 1 if anything is damaged.

    What another version of singular-lens wrote is named, with what becomes of it.
    """
    from app.explorer.running import upkeep

    files, size, damaged = 0, 0, 0
    older: dict[str, list[str]] = {}
    shown = ProgressLine()
    for checked in upkeep.verify_folder(_data_folder(data)):
        files, size = checked.files, checked.done
        shown.show(f"{files} files read", checked.done, checked.total)
        if checked.fault:
            damaged += 1
            shown.clear()
            say(f"damaged: {checked.name}: {checked.fault}")
        if checked.older:
            older.setdefault(checked.older, []).append(checked.name)
    shown.clear()
    for fate, names in older.items():
        say(f"of another version: {names[0] if len(names) == 1 else f'{len(names)} files'}: {fate}")
    say(f"{files} files read, {format_bytes(size)}: {f'{damaged} damaged' if damaged else 'all as they were written'}")
    if damaged:
        raise typer.Exit(1)


@store.command("gc")
def gc(data: Annotated[str | None, option("data")] = None) -> None:
    """Delete what is not needed and not in use: old, damaged, unfinished, nameless, beyond the quota."""
    from app.explorer.running import upkeep

    folder, quota = _data_folder(data), int(_read_settings().quota_gib * 2**30)
    removed: dict[str, list[int]] = {}
    shown = ProgressLine()
    try:
        for each in upkeep.tidy_folder(folder, quota):
            if isinstance(each, upkeep.KeptLeftover):
                shown.clear()
                say(f"kept: {each.name}: {each.reason}")
            else:
                removed.setdefault(each.kind, []).append(each.size)
                shown.show(f"{sum(map(len, removed.values()))} removed")
    except OSError as error:
        shown.clear()
        stop(f"something could not be removed ({error.strerror or error}): {error.filename or folder}")
    shown.clear()
    for kind, sizes in removed.items():
        say(f"removed: {kind}: {len(sizes)}, {format_bytes(sum(sizes))}")
    say(f"{format_bytes(sum(map(sum, removed.values())))} freed")


def _data_folder(data: str | None) -> Path:
    """Return the existing data folder of a command; stops if there is none."""
    folder = _read_settings(data=data).data
    if not folder.is_dir():
        stop(f"there is no data folder at {folder}: name it with --data")
    return folder


def _make_data_folder(data: Path) -> None:
    """Make the data folder; stops if that fails, before any work is done for it."""
    try:
        data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        stop(_data_fault(data, error))


def _data_fault(data: Path, error: OSError) -> str:
    return f"cannot keep weights in {data}: {error.strerror}. Choose another folder with --data"


def _refuse_device(device: str) -> None:
    """Stop if the operator asked for a GPU that is not there; only then is torch worth importing now."""
    if device.startswith("cuda"):
        import torch

        n_devices = torch.cuda.device_count()
        if int(device.partition(":")[2] or 0) >= n_devices:
            stop(f"device: {device} is not here, this machine has {n_devices} CUDA devices. Try auto or cpu")


def _read_settings(**named: Any) -> Settings:
    """Read the settings of the environment and the given options; stops if one is out of range."""
    try:
        return Settings(**{name: value for name, value in named.items() if value is not None})
    except ValidationError as error:
        stop(*map(_setting_error, error.errors()))


def _setting_error(detail: Any) -> str:
    if not detail["loc"]:  # of several settings together
        return str(detail["ctx"]["error"])
    field = str(detail["loc"][0])
    expected = Settings.model_fields[field].description if field in Settings.model_fields else ""
    return f"{field.replace('_', '-')}: {detail['msg']} (got {detail['input']!r}). {expected}"


def main() -> None:
    """Run the command line."""
    cli()


if __name__ == "__main__":
    main()
