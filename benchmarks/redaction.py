"""Measures redaction: recall and precision on the test corpus, speed, and detect-secrets beside it.

All times are processor time. Run from the repository root::

    python -m benchmarks.redaction [--detect-secrets | --over FOLDER]

detect-secrets is only compared, never used by the product; install it by hand for the flag.
"""

from __future__ import annotations

import argparse
import inspect
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from memory_core.redaction import redact_text
from tests.memory_core.redaction.benign import benign_lines
from tests.memory_core.redaction.corpus import Planted, planted_in_place, planted_tokens


def report(name: str, cases: list[Planted], hides: Callable[[Planted], bool]) -> None:
    found = sum(hides(case) for case in cases)
    kinds = {kind for case in cases for kind in case.kinds}
    print(f"{name}: {found}/{len(cases)} found ({found / len(cases):.2%}), {len(kinds)} types")


def per_message(chunks: list[str]) -> float:
    best = float("inf")
    for _ in range(5):
        start = time.process_time()
        for chunk in chunks:
            redact_text(chunk, "TEAM")
        best = min(best, time.process_time() - start)
    return best / len(chunks)


def seconds_to_import(module: str) -> float:
    code = (
        f"import time, pydantic; s = time.process_time(); import {module}; "
        "print(time.process_time() - s)"
    )
    runs = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
        for _ in range(5)
    ]
    return min(runs)


def measure_over(folder: Path) -> None:
    """Counts what is taken out (at TEAM) of the Python files below a folder."""
    counts: Counter[str] = Counter()
    lines = 0
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text(encoding="utf-8", errors="replace")
        lines += text.count("\n")
        counts.update(redact_text(text, "TEAM").counts)
    print(f"{folder}: {counts.total()} findings in {lines} lines {dict(counts)}")


def measure_own() -> None:
    tokens, placed, benign = [*planted_tokens()], [*planted_in_place()], benign_lines()
    for name, cases in (("tokens by form", tokens), ("secrets by place", placed)):
        report(name, cases, lambda case: case.secret not in redact_text(case.text, "TEAM").text)
    touched = sum(redact_text(line, "PUBLIC").text != line for line in benign)
    print(f"benign lines: {touched}/{len(benign)} touched ({touched / len(benign):.2%})")
    code = inspect.getsource(argparse)
    chunks = [code[at : at + 500] for at in range(0, len(code) - 500, 500)]
    print(f"500 characters of code: {per_message(chunks) * 1e6:.0f} us")
    large = (code * 25)[:2_000_000]
    start = time.process_time()
    redact_text(large, "TEAM")
    print(f"2,000,000 characters of code: {time.process_time() - start:.2f} s")
    spent = seconds_to_import("memory_core.redaction")
    print(f"import memory_core.redaction, after pydantic: {spent:.3f} s")


def measure_detect_secrets() -> None:
    from detect_secrets import SecretsCollection  # noqa: PLC0415 - only for the comparison
    from detect_secrets.settings import default_settings  # noqa: PLC0415

    def scan(text: str) -> list[str]:
        path = Path(folder) / "scanned.txt"
        path.write_text(text, encoding="utf-8")
        secrets = SecretsCollection()
        secrets.scan_file(str(path))
        return [secret.secret_value or "" for _, secret in secrets]

    def hides(case: Planted) -> bool:
        found = scan(case.text)
        return any(part and (part in case.secret or case.secret in part) for part in found)

    with tempfile.TemporaryDirectory() as folder, default_settings():
        report("detect-secrets, tokens by form", [*planted_tokens()], hides)
        report("detect-secrets, secrets by place", [*planted_in_place()], hides)
        benign = benign_lines()
        touched = sum(bool(scan(line)) for line in benign)
        print(f"detect-secrets, benign lines: {touched}/{len(benign)} touched")
        code = inspect.getsource(argparse)
        start = time.process_time()
        scan(code)
        spent = time.process_time() - start
        print(f"detect-secrets, 500 characters of code: {spent / len(code) * 500 * 1e6:.0f} us")
    print(f"import detect_secrets: {seconds_to_import('detect_secrets.core.scan'):.3f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--detect-secrets", action="store_true")
    parser.add_argument("--over", type=Path, metavar="FOLDER", help="count findings in its files")
    options = parser.parse_args()
    if options.over:
        measure_over(options.over)
        return
    measure_own()
    if options.detect_secrets:
        measure_detect_secrets()


if __name__ == "__main__":
    main()
