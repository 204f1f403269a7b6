"""Checkpoint: an exported model on the Hub, private until its owner says otherwise, and compared with what lies here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cotgen.errors import CotgenError
from cotgen.hub.publish import local_file, same_file
from cotgen.hub.remote import REPO, Remote
from cotgen.shards.files import sha256_of

if TYPE_CHECKING:
    from huggingface_hub import HfApi

#: What a folder must have to be a model that somebody else can use and judge.
NEEDED = ("README.md", "config.json", "cotgen.json", "cotgen_boxes.json")
#: Files of these endings are text, and no path of this machine may be in them.
_TEXTS = (".json", ".jinja", ".md", ".sh", ".txt")


def push_checkpoint(
    folder: Path, repo: str, api: HfApi | None = None, say: Callable[[str], None] = lambda text: None
) -> str:
    """Upload an exported model; what the server has already is not sent again. Returns the commit.

    A repository that is not there is made, private. One that is there stays as it is, and it is said who sees it.

    Args:
        folder: as `python -m recipes.export` writes it.
        repo: `ORG/NAME`.
        api: a client with endpoint and token; by default that of the environment.
        say: called with a sentence at every step.

    Raises:
        CotgenError: the folder is none of an exported model, names a path of this machine, or the Hub refuses; what
            arrived is not what lies here.
    """
    if not REPO.fullmatch(repo):
        raise CotgenError(f"'{repo}' is no name on the Hub; say ORG/NAME")
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    if missing := [name for name in NEEDED if name not in names]:
        raise CotgenError(f"{folder} has no {missing[0]}; push what `python -m recipes.export` wrote, with its card")
    for name in names:
        if name.endswith(_TEXTS) and str(folder.absolute().parent) in (folder / name).read_text(encoding="utf-8"):
            raise CotgenError(f"{folder / name} names a path of this machine; export the run again")
    remote = Remote(repo, api, kind="model")
    if remote.exists():
        seen = remote.settings().visibility
        say(f"{repo} is there and {seen}; it stays so")
    else:
        remote.make()
        say(f"{repo} is made, private")
    remote.upload(folder, names, "main", "A checkpoint of cotgen's recipes")
    head = remote.head("main")
    there = remote.files(head)
    for name in names:
        if not same_file(local_file(folder / name, sha256_of(folder / name)), there.get(name)):
            raise CotgenError(f"{name} of {repo} is not what lies here; run the same command again")
    say(f"{len(names)} files are at {repo}, commit {head}, and compared")
    return head
