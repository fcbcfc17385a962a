"""The verifier runs on any machine with Python and `cryptography`, and on nothing of ours."""

import ast
import base64
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

VERIFIER = Path(__file__).parents[2] / "audit" / "verifier.py"
NAME = "volens.example"


def imported_packages(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "").partition(".")[0]


def test_it_imports_the_standard_library_and_cryptography_only() -> None:
    imported = set(imported_packages(ast.parse(VERIFIER.read_text(encoding="utf-8"))))
    assert imported - sys.stdlib_module_names == {"cryptography"}
    assert not imported & {"importlib", "runpy", "ctypes", "pickle"}


def test_it_calls_no_import_by_name() -> None:
    names = {
        node.id
        for node in ast.walk(ast.parse(VERIFIER.read_text(encoding="utf-8")))
        if isinstance(node, ast.Name)
    }
    assert not names & {"__import__", "exec", "eval", "compile"}


def trail_and_key() -> tuple[bytes, str]:
    key = Ed25519PrivateKey.from_private_bytes(b"c" * 32)
    public = b"\x01" + key.public_key().public_bytes_raw()
    key_id = hashlib.sha256(NAME.encode() + b"\n" + public).digest()[:4]
    leaf = json.dumps(
        {"actor": "a", "at": "2026-03-01T10:00:00.000000Z", "commitment": "", "facts": {}}
        | {"subject": "s", "uid": "0" * 32, "v": 1, "verb": "x"},
        separators=(",", ":"),
    )
    root = hashlib.sha256(b"\x00" + leaf.encode()).digest()
    text = f"{NAME}\n1\n{base64.b64encode(root).decode()}\n"
    signature = base64.b64encode(key_id + key.sign(text.encode())).decode()
    note = json.dumps({"checkpoint": f"{text}\n\u2014 {NAME} {signature}\n"})
    header = json.dumps({"format": "volens-trail/1", "origin": NAME})
    trail = f'{header}\n{{"index":0,"leaf":{leaf}}}\n{note}\n'.encode()
    return trail, f"{NAME}+{key_id.hex()}+{base64.b64encode(public).decode()}\n"


def run_copy(directory: Path, trail: bytes) -> subprocess.CompletedProcess[bytes]:
    """Run a copy of the file in a directory of its own, its trail on standard input."""
    (directory / "alone.py").write_bytes(VERIFIER.read_bytes())
    (directory / "key").write_text(trail_and_key()[1], encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-I", "-W", "error", "alone.py", "-", "--key", "key"],
        cwd=directory,
        env={"LC_ALL": "C"},
        input=trail,
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_a_copy_elsewhere_verifies_a_trail_from_standard_input(tmp_path: Path) -> None:
    done = run_copy(tmp_path, trail_and_key()[0])
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.endswith(b"everything holds\n")


def test_a_copy_elsewhere_finds_a_changed_field(tmp_path: Path) -> None:
    done = run_copy(tmp_path, trail_and_key()[0].replace(b'"verb":"x"', b'"verb":"y"'))
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"entries 0 to 0 are not those sealed" in done.stdout


def test_a_copy_elsewhere_meets_hostile_input_without_a_traceback(tmp_path: Path) -> None:
    done = run_copy(tmp_path, b"\xff\x00\n{\n" + b"[" * 100_000 + b'\n{"leaf":"\\ud800"}\n')
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"nothing attests this trail" in done.stdout
