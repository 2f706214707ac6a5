"""How a command is registered: the options that all share, and what happens when it fails."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import typer

from penstock.cli.failures import ExitCode, exit_code_of, report
from penstock.cli.printing import Format
from penstock.cli.session import Outside, Session
from penstock.errors import PenstockError

__all__ = ["SHARED", "noun", "server_verb", "verb"]

Verb = Callable[..., None]
Bundle = Callable[..., Any]

Output = Annotated[
    Format, typer.Option("--output", "-o", help="How results are printed.", show_default=True)
]
WorkspaceName = Annotated[
    str | None,
    typer.Option(
        "--workspace",
        "-w",
        help="The workspace. Default: PENSTOCK_WORKSPACE, else the workspace_name of "
        ".azureml/config.json here or above, else 'default'.",
        show_default=False,
    ),
]
Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        help="The server. Default: PENSTOCK_URL, else the server that this user started last.",
        show_default=False,
    ),
]


def _everywhere(output: Output = Format.TABLE) -> None: ...


def _at_a_server(
    workspace: WorkspaceName = None, url: Url = None, output: Output = Format.TABLE
) -> None: ...


SHARED = ("output", "workspace", "url")
"""The options that the reference page explains once."""


def noun(name: str, sentence: str) -> typer.Typer:
    """Return an empty group of commands."""
    return typer.Typer(name=name, help=sentence, no_args_is_help=True, rich_markup_mode=None)


def verb(group: typer.Typer, name: str, **bundles: Bundle) -> Callable[[Verb], Verb]:
    """Register a command that talks to no server; see `server_verb`."""
    return _registered(group, name, bundles, _everywhere)


def server_verb(group: typer.Typer, name: str, **bundles: Bundle) -> Callable[[Verb], Verb]:
    """Register a command that talks to a server.

    The command's first parameter is the Session; the others are its arguments and options.

    Args:
        group: where the command belongs.
        name: the word that is typed.
        bundles: options that several commands share: each is a function whose parameters become
            options, and whose result is passed to the command under this keyword.
    """
    return _registered(group, name, bundles, _at_a_server)


def _registered(
    group: typer.Typer, name: str, bundles: Mapping[str, Bundle], shared: Verb
) -> Callable[[Verb], Verb]:
    members = {key: _parameters(bundle) for key, bundle in bundles.items()}

    def register(command: Verb) -> Verb:
        own = [p for p in _parameters(command)[1:] if p.name not in bundles]

        def run(context: typer.Context, **values: Any) -> None:
            options = {key: values.pop(key, None) for key in SHARED}
            given = {
                key: {p.name: values.pop(p.name) for p in parameters}
                for key, parameters in members.items()
            }

            def act() -> None:
                made = {key: bundles[key](**members_given) for key, members_given in given.items()}
                command(Session(context.obj or Outside(), **options), **values, **made)

            _guarded(act, options["output"])

        bundled = [p for parameters in members.values() for p in parameters]
        _pretend(run, command, [*own, *bundled, *_parameters(shared)])
        group.command(name)(run)
        return command

    return register


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    return list(inspect.signature(function, eval_str=True).parameters.values())


def _pretend(run: Verb, command: Verb, parameters: Sequence[inspect.Parameter]) -> None:
    """Give `run` the signature from which typer reads options, and the help of `command`."""
    context = inspect.Parameter("context", _KEYWORD, annotation=typer.Context)
    signature = inspect.Signature([context, *(p.replace(kind=_KEYWORD) for p in parameters)])
    run.__signature__ = signature  # type: ignore[attr-defined]
    run.__annotations__ = {name: p.annotation for name, p in signature.parameters.items()}
    run.__doc__ = command.__doc__


_KEYWORD = inspect.Parameter.KEYWORD_ONLY


def _guarded(act: Callable[[], None], output: Format) -> None:
    """Do it; turn what Penstock raises on purpose into a sentence and an exit code."""
    try:
        act()
    except PenstockError as error:
        report(error, output)
        raise typer.Exit(exit_code_of(error)) from None
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.INTERRUPTED) from None
