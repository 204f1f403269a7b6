"""A module imports only from rooms above its own: the house of the design, held by reading every import."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "cotgen"

#: Top to bottom. A room may import from rooms before it, from itself, and from the helpers that stand in no room.
ROOMS = [
    "records",
    "ontology",
    "sources",
    "surgeries",
    "frames",
    "tasks",
    "models",
    "chains",
    "shards",
    "training",
    "evaluation",
    "inspect",
    "hub",
    "dataset",
    "build",
    "stages",
    "cli",
]
HELPERS = {"errors", "draws", "resources", "ffmpeg"}


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    """Rooms of cotgen that a module imports, at the top or inside a function."""
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] if node.module != "cotgen" else [f"cotgen.{alias.name}" for alias in node.names]
        rooms |= {name.split(".")[1] for name in names if name.startswith("cotgen.")}
    return rooms


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def test_every_module_stands_in_a_known_room() -> None:
    known = {*ROOMS, *HELPERS, "__init__", "__main__"}
    assert {room_of(path) for path in modules()} <= known


def test_modules_import_only_from_rooms_above() -> None:
    wrong = []
    for path in modules():
        room = room_of(path)
        if room in {"__init__", "__main__"}:
            continue
        for other in imports_of(path) - HELPERS - {"__version__"}:
            allowed = room not in HELPERS and ROOMS.index(other) <= ROOMS.index(room)
            if not allowed:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {other}")
    assert wrong == []


def test_core_modules_import_without_torch_datasets_or_openai() -> None:
    """The heavy ones are imported inside the functions that need them, so that `cotgen build` starts in a second."""
    heavy = {"torch", "datasets", "transformers", "openai", "webdataset", "huggingface_hub", "pyarrow", "matplotlib"}
    wrong = []
    for path in modules():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            wrong += [f"{path.name}: {name}" for name in names if name.split(".")[0] in heavy]
    assert wrong == []
