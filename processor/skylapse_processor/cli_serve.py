"""The commands `example-config`, `serve` and `keys`."""

import argparse
import asyncio
import logging
import signal
import sys
from importlib.resources import files
from pathlib import Path

from .clock import utc_now
from .config import load
from .errors import ProcessorError
from .keys import Keys, write_secret
from .service import Service, keys_file

_DEFAULT_CONFIG = Path("processor.yaml")


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register `example-config`, `serve` and `keys`."""
    example = commands.add_parser("example-config", help="print a configuration that explains every setting")
    example.set_defaults(run=_example)
    serve = commands.add_parser("serve", help="run the processor")
    _add_config(serve)
    serve.set_defaults(run=_serve)
    _add_keys(commands)


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", type=Path, default=_DEFAULT_CONFIG, help=f"the configuration (default {_DEFAULT_CONFIG})"
    )


def _add_keys(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    keys = commands.add_parser("keys", help="make, list and revoke the keys of clients")
    actions = keys.add_subparsers(required=True, metavar="ACTION")
    add = actions.add_parser("add", help="make a key; it is shown or written once and cannot be shown again")
    add.add_argument("name", metavar="NAME", help="whose key it is")
    add.add_argument("--out", type=Path, metavar="FILE", help="write it there, readable by its owner only")
    add.set_defaults(run=_add_key)
    listing = actions.add_parser("list", help="list the names of all keys")
    listing.set_defaults(run=_list_keys)
    revoke = actions.add_parser("revoke", help="end a key, at once")
    revoke.add_argument("name", metavar="NAME")
    revoke.set_defaults(run=_revoke_key)
    for parser in (add, listing, revoke):
        _add_config(parser)


def _example(_arguments: argparse.Namespace) -> int:
    print(files(__package__).joinpath("processor.example.yaml").read_text("utf-8"), end="")
    return 0


def _keys(arguments: argparse.Namespace) -> Keys:
    return Keys(keys_file(load(arguments.config)), utc_now)


def _add_key(arguments: argparse.Namespace) -> int:
    if arguments.out is not None and arguments.out.exists():
        raise ProcessorError(f"{arguments.out}: is there already; a key never replaces a file")
    key = _keys(arguments).add(arguments.name)
    if arguments.out is None:
        print(key)
        return 0
    try:
        write_secret(arguments.out, f"{key}\n")
    except OSError as error:
        _keys(arguments).revoke(arguments.name)
        raise ProcessorError(
            f"{arguments.out}: the key cannot be written there ({error.strerror})"
        ) from error
    print(f"the key of {arguments.name} is in {arguments.out}")
    return 0


def _list_keys(arguments: argparse.Namespace) -> int:
    for key in _keys(arguments).list():
        print(f"{key.name}\t{key.created_at}")
    return 0


def _revoke_key(arguments: argparse.Namespace) -> int:
    _keys(arguments).revoke(arguments.name)
    print(f"the key of {arguments.name} is revoked")
    return 0


def _serve(arguments: argparse.Namespace) -> int:
    config = load(arguments.config)
    logging.basicConfig(
        level=config.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    asyncio.run(_run(Service(config)))
    return 0


async def _run(service: Service) -> None:
    """Serve until asked to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        await service.start()
        await stop.wait()
    finally:
        await service.stop()
