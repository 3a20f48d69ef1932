"""Records of options: each field is an option of the command that takes the record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from stsfusion.cli.options import grouped


@dataclass(frozen=True)
class Light:
    """Two options."""

    gain: Annotated[float, typer.Option(metavar="PCT", help="Percent.")] = 0.5
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False


@dataclass(frozen=True)
class Place:
    """One that must be said."""

    at: Annotated[int, typer.Option(help="Where.")]


@pytest.fixture
def asked():
    """What a command was given, for the words of a command line."""
    app, got = typer.Typer(), []

    @app.command()
    @grouped
    def look(
        name: Annotated[str, typer.Argument(help="Who.")], times: int = 1, *, light: Light, place: Place
    ) -> None:
        """Look there."""
        got.append((name, times, light, place))

    def ask(*words):
        done = CliRunner().invoke(app, list(words))
        return done, got[-1] if got else None

    return ask


def test_fields_are_options_with_their_defaults(asked):
    assert asked("a", "--at", "3")[1] == ("a", 1, Light(), Place(3))
    said = ("b", "--times", "2", "--gain", "7", "--json", "--at", "4")
    assert asked(*said)[1] == ("b", 2, Light(7.0, True), Place(4))


def test_a_field_without_default_must_be_said(asked):
    done, got = asked("a")
    assert (done.exit_code, got) == (2, None)
    assert "--at" in done.output


def test_help_tells_the_fields_in_their_order(asked):
    said = asked("--help")[0].output
    assert "Look there." in said
    places = [said.index(word) for word in ("--times", "--gain", "PCT", "--json", "--at")]
    assert places == sorted(places)
