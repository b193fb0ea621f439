"""`skylapse-bridge check`: what is there, what is missing, what to do about it."""

import argparse
import asyncio
import json
from pathlib import Path

from .check import Finding, check, in_words
from .clock import make_clock
from .config import load_config


def add_check_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "check", help="try cameras, disk, clock, broker and processor, and say what to do"
    )
    parser.add_argument("--config", type=Path, required=True, help="bridge.yaml")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    parser.set_defaults(run=_check)


def _check(arguments: argparse.Namespace) -> int:
    config = load_config(arguments.config)
    findings = asyncio.run(check(config, make_clock(config.clock)))
    words = in_words(findings)
    print(json.dumps(words, ensure_ascii=False) if arguments.json else _table(findings))
    return 0 if words["ok"] else 1


def _table(findings: list[Finding]) -> str:
    """Return a line for each finding, its advice below it."""
    width = max(len(finding.part) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{finding.verdict:<8} {finding.part:<{width}}  {finding.found}")
        if finding.advice is not None:
            lines.append(f"{'':<8} {'':<{width}}  → {finding.advice}")
    return "\n".join(lines)
