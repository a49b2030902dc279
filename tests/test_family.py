"""How parts are found in their folder, and built from text."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from groundswell import arrivals, lengths, routing, scaling
from groundswell.arrivals import ARRIVALS
from groundswell.arrivals.gamma import Gamma
from groundswell.arrivals.onoff import OnOff
from groundswell.errors import UsageError
from groundswell.family import Family
from groundswell.lengths import LENGTHS
from groundswell.routing import ROUTING
from groundswell.scaling import SCALING

FAMILIES = [(ARRIVALS, arrivals), (LENGTHS, lengths), (ROUTING, routing), (SCALING, scaling)]


@pytest.mark.parametrize(("family", "package"), FAMILIES)
def test_a_familys_parts_are_the_files_of_its_folder(family: Family[object], package: object) -> None:
    folder = Path(str(package.__file__)).parent  # type: ignore[attr-defined]
    files = sorted(file.stem for file in folder.glob("*.py") if not file.name.startswith("_"))
    assert list(family) == files
    for name in files:
        assert family[name].__module__.endswith(f".{name}")


@pytest.mark.parametrize(("family", "package"), FAMILIES)
def test_every_part_says_what_it_takes(family: Family[object], package: object) -> None:
    for name in family:
        assert family.signature(name)
        assert family[name].__doc__


@pytest.mark.parametrize("text", ["gamma:cv=3", " gamma : cv = 3 ", "gamma:cv=3,", "gamma:cv=3e0"])
def test_a_part_is_built_from_its_text(text: str) -> None:
    assert ARRIVALS.build(text) == Gamma(cv=3)


def test_parameters_that_are_not_given_keep_their_defaults() -> None:
    assert ARRIVALS.build("onoff:burst=4") == OnOff(burst=4)
    assert ARRIVALS.build("onoff") == OnOff()
    assert ARRIVALS.build("onoff:") == OnOff()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sticky", "arrivals has no 'sticky'; it has deterministic, gamma, onoff, poisson, weibull"),
        ("", "arrivals has no ''"),
        ("gamma:sigma=3", "gamma takes cv=2.0, not 'sigma=3'"),
        ("gamma:3", "gamma takes cv=2.0, not '3'"),
        ("gamma:cv", "gamma takes cv=2.0, not 'cv'"),
        ("gamma:cv=1,cv=2", "cv is given twice"),
        ("poisson:cv=1", "poisson takes no parameters, not 'cv=1'"),
        ("__init__", "arrivals has no '__init__'"),
        ("../lengths/zipf", "arrivals has no"),
    ],
)
def test_a_text_that_means_no_part_is_told_of(text: str, told: str) -> None:
    with pytest.raises(UsageError) as fault:
        ARRIVALS.build(text)
    assert told in str(fault.value)


@pytest.mark.parametrize(("family", "package"), FAMILIES)
def test_a_parameter_that_is_missing_is_named(family: Family[object], package: object) -> None:
    for name in family:
        needed = [
            f.name
            for f in dataclasses.fields(family[name])  # type: ignore[arg-type]
            if f.default is dataclasses.MISSING
        ]
        if needed:
            told = f"{name!r}: {' and '.join(needed)} missing; {name} takes {family.signature(name)}"
            with pytest.raises(UsageError, match=f"^{re.escape(told)}$"):
                family.build(name)


def test_a_missing_parameter_is_told_with_what_the_part_takes() -> None:
    with pytest.raises(UsageError, match="cv missing; lognormal takes mean, cv"):
        LENGTHS.build("lognormal:mean=3")


@pytest.mark.parametrize(("family", "package"), FAMILIES)
def test_a_number_that_is_none_is_named(family: Family[object], package: object) -> None:
    for name in family:
        for key in (f.name for f in dataclasses.fields(family[name]) if f.type == "float"):  # type: ignore[arg-type]
            told = f"'{name}:{key}=x': {key} must be a number, not 'x'; {name} takes {family.signature(name)}"
            with pytest.raises(UsageError, match=f"^{re.escape(told)}$"):
                family.build(f"{name}:{key}=x")


def test_text_in_brackets_is_passed_through_whole() -> None:
    nested = "truncated:of=(truncated:of=(lognormal:mean=80,cv=1.5),most=500),least=10"
    assert LENGTHS.text(LENGTHS.build(nested)) == nested


@pytest.mark.parametrize(
    ("family", "text"),
    [
        (ARRIVALS, "gamma:cv=0.1"),
        (ARRIVALS, "onoff:duty=0.125"),
        (LENGTHS, "pareto:alpha=1.4"),
        (LENGTHS, "empirical:values=(3,1,2.5)"),
    ],
)
def test_a_parts_text_is_as_short_as_can_be(family: Family[object], text: str) -> None:
    assert family.text(family.build(text)) == text


def test_the_text_of_a_number_loses_no_digit() -> None:
    assert ARRIVALS.build(ARRIVALS.text(Gamma(cv=1 / 3))) == Gamma(cv=1 / 3)
