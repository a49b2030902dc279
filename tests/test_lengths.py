"""What every length distribution promises, over all of them; then each against its closed form.

The tables' bounds are the documented ones; sampling uses five standard errors with fixed seeds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from groundswell import chance, length_tables
from groundswell.chance import compiled
from groundswell.errors import DataError, GroundswellError, UsageError
from groundswell.length_tables import LengthTables
from groundswell.lengths import LARGEST_TOKENS, LENGTHS, Length, atoms, length_of
from groundswell.lengths.empirical import Empirical
from groundswell.lengths.lognormal import LogNormal
from groundswell.lengths.truncated import Truncated

Floats = NDArray[np.float64]

TEXTS = {
    "empirical": [
        "empirical:values=(3,1,2,900000),weights=(1,2,1,0.5)",
        "empirical:values=(0,0.25,0.5)",
        "empirical:values=7",
    ],
    "exponential": ["exponential:mean=1", "exponential:mean=1.4", "exponential:mean=500", "exponential:mean=4e6"],
    "lognormal": [
        "lognormal:mean=800,cv=1.5",
        "lognormal:mean=1,cv=1000",
        "lognormal:mean=5,cv=3",
        "lognormal:mean=100000,cv=1e-6",
        "lognormal:mean=3e6,cv=0.001",
        "lognormal:mean=4e6,cv=1000",
    ],
    "mixture": [
        "mixture:body=(lognormal:mean=800,cv=1.2),tail=(pareto:alpha=1.5,least=2000),weight=0.1",
        "mixture:body=20,tail=(mixture:body=30,tail=(zipf:exponent=1,most=9),weight=0.5),weight=0.25",
    ],
    "pareto": [
        "pareto:alpha=1.4,least=200",
        "pareto:alpha=1",
        "pareto:alpha=0.5,least=3",
        "pareto:alpha=100,least=4e6",
    ],
    "templates": [
        "templates:count=5,tokens=(lognormal:mean=800,cv=1),popularity=1.1,share=0.8",
        "templates:count=300,tokens=(lognormal:mean=12000,cv=0.8)",
        "templates:count=1,tokens=14500",
        "templates:count=16384,tokens=16777216,popularity=0,share=0.001",
    ],
    "truncated": [
        "truncated:of=(lognormal:mean=800,cv=1.5),least=1,most=8192",
        "truncated:of=(lognormal:mean=800,cv=1.5),least=20000,most=20050",
        "truncated:of=(pareto:alpha=0.5),least=10,most=100000",
        "truncated:of=(empirical:values=(0.1,0.2,0.7)),least=0.15,most=0.5",
    ],
    "zipf": [
        "zipf:exponent=1.1,most=4096",
        "zipf:exponent=0,most=10000000",
        "zipf:exponent=1,most=16777216",
        "zipf:exponent=9,most=5",
    ],
}
every_text = pytest.mark.parametrize("text", [text for name in LENGTHS for text in TEXTS[name]])


@compiled
def _draw(key: Any, first: Any, value: Any, threshold: Any, guide_first: Any, guide: Any, out: Any) -> None:
    for i in range(out.size):
        word = np.uint32(chance.word_at(key, i) >> np.uint64(32))
        out[i] = length_tables.draw(word, 0, first, value, threshold, guide_first, guide)


def sampled(length: Length, n: int) -> Floats:
    tables = LengthTables.of([atoms(length)])
    out = np.empty(n)
    _draw(np.uint64(5), tables.first, tables.value, tables.threshold, *tables.guide, out)
    return out


def table_cdf(length: Length, at: Floats) -> Floats:
    values, probabilities = atoms(length)
    return np.concatenate([[0.0], np.cumsum(probabilities)])[np.searchsorted(values, at, side="right")]


def test_every_part_is_tested() -> None:
    assert set(TEXTS) == set(LENGTHS.names())


@every_text
def test_a_table_is_a_distribution_on_rising_values(text: str) -> None:
    length = length_of(text)
    values, probabilities = atoms(length)
    assert 1 <= values.size <= 20_000
    assert (np.diff(values) > 0).all()
    assert (probabilities > 0).all()
    assert probabilities.sum() == pytest.approx(1, abs=1e-12)
    assert (values.astype(np.float32) == values).all() or values.max() <= 1


@every_text
def test_a_tables_values_are_whole_numbers_of_at_least_1(text: str) -> None:
    values, _ = atoms(length_of(text))
    if "0." in text and "values" in text:
        return  # a ratio's table
    assert (values == np.rint(values)).all()
    if "share" in text:
        values = values[1:]  # 0 is a prompt that begins with none of the templates
    assert 1 <= values[0] <= values[-1] <= LARGEST_TOKENS


@every_text
def test_a_table_stands_for_its_law(text: str) -> None:
    length = length_of(text)
    values, probabilities = atoms(length)
    at = np.concatenate([values, values - 1, np.arange(20_000.0), np.rint(np.geomspace(1, LARGEST_TOKENS, 50_000))])
    assert np.abs(table_cdf(length, at) - length.cdf(at)).max() < 0.001
    assert (values * probabilities).sum() == pytest.approx(length.mean, rel=0.001)


@every_text
def test_a_distribution_function_rises_from_0_to_1(text: str) -> None:
    length = length_of(text)
    at = np.concatenate([[-1.0], np.rint(np.geomspace(1, LARGEST_TOKENS, 5000)), [2.0 * LARGEST_TOKENS]])
    share = length.cdf(at)
    assert share[0] == 0
    assert (np.diff(share) > -1e-12).all()
    assert share[-1] == pytest.approx(1, abs=1e-12)
    assert (length.cdf(at + 0.25) == share).all() or atoms(length)[0].max() <= 1


@every_text
def test_the_partial_mean_is_the_sum_over_the_distribution_function(text: str) -> None:
    length = length_of(text)
    if atoms(length)[0].max() <= 1:
        assert float(length.moment(np.array([1.0]))[0]) == pytest.approx(length.mean)
        return
    n = np.arange(1.0, 2**20 + 1)
    exact = np.cumsum(n * np.diff(length.cdf(n), prepend=length.cdf(np.zeros(1))))
    for bound in (1, 10, 1000, 4096, 5000, 2**20):
        found = float(length.moment(np.array([float(bound)]))[0])
        assert found == pytest.approx(exact[bound - 1], rel=1e-4, abs=1e-6 * length.mean)
    assert float(length.moment(np.array([float(LARGEST_TOKENS)]))[0]) == pytest.approx(length.mean, rel=1e-6)


@every_text
def test_draws_have_the_mean_and_the_distribution(text: str) -> None:
    length = length_of(text)
    sample = sampled(length, 400_000)
    values, probabilities = atoms(length)
    spread = np.sqrt(((values - length.mean) ** 2 * probabilities).sum() / sample.size)
    assert abs(sample.mean() - length.mean) <= 5 * spread + 0.001 * length.mean
    at = np.sort(sample)[:: sample.size // 1000]
    found = np.searchsorted(np.sort(sample), at, side="right") / sample.size
    assert np.abs(found - length.cdf(at.astype(np.float64))).max() < 0.001 + 2.8 / np.sqrt(sample.size)


@every_text
def test_a_part_is_rebuilt_from_its_text(text: str) -> None:
    length = length_of(text)
    again = LENGTHS.build(LENGTHS.text(length))
    assert again == length
    assert hash(again) == hash(length)


@pytest.mark.parametrize("mean", [1.0, 1.01, 3.0, 80.0, 4096.0, 1e5, 2**22])
@pytest.mark.parametrize(
    "law", ["exponential:mean={}", "lognormal:mean={},cv=0.1", "lognormal:mean={},cv=2", "lognormal:mean={},cv=50"]
)
def test_a_stated_mean_is_the_mean_that_comes_out(law: str, mean: float) -> None:
    values, probabilities = atoms(length_of(law.format(mean)))
    assert (values * probabilities).sum() == pytest.approx(mean, rel=2e-4)


N = np.rint(np.geomspace(1, 100_000, 3000))


def test_exponential_lengths_are_the_rounded_exponential() -> None:
    law = stats.expon(scale=500.0)  # whose rounding raises the mean by less than 0.01
    assert np.abs(length_of("exponential:mean=500").cdf(N) - law.cdf(N + 0.5)).max() < 1e-5


def test_lognormal_lengths_are_the_rounded_lognormal() -> None:
    sigma = np.sqrt(np.log(1 + 1.5**2))
    law = stats.lognorm(sigma, scale=800 * np.exp(-(sigma**2) / 2))
    assert np.abs(length_of("lognormal:mean=800,cv=1.5").cdf(N) - law.cdf(N + 0.5)).max() < 1e-5
    sample = sampled(length_of("lognormal:mean=800,cv=1.5"), 4_000_000)
    assert sample.std() / sample.mean() == pytest.approx(1.5, rel=0.02)


def test_pareto_lengths_are_the_rounded_pareto_below_the_largest_length() -> None:
    law = stats.pareto(1.4, scale=200)
    cut = law.cdf(LARGEST_TOKENS + 0.5)
    assert np.abs(length_of("pareto:alpha=1.4,least=200").cdf(N) - law.cdf(N + 0.5) / cut).max() < 1e-12
    mean = 1.4 / 0.4 * (200 - 200**1.4 * LARGEST_TOKENS**-0.4)  # ∫ x dF from 200 to the largest length
    assert length_of("pareto:alpha=1.4,least=200").mean == pytest.approx(mean / cut, rel=1e-3)


def test_a_pareto_without_a_mean_has_that_of_the_cut_law() -> None:
    top = LARGEST_TOKENS + 0.5
    assert length_of("pareto:alpha=1,least=100").mean == pytest.approx(
        100 * np.log(top / 100) / (1 - 100 / top), rel=1e-4
    )


def test_zipf_lengths_are_zipfs() -> None:
    law = stats.zipfian(1.1, 4096)
    assert np.abs(length_of("zipf:exponent=1.1,most=4096").cdf(N) - law.cdf(N)).max() < 1e-12
    assert length_of("zipf:exponent=1.1,most=4096").mean == pytest.approx(law.mean(), rel=1e-9)
    wide, k = length_of("zipf:exponent=1.3,most=1000000"), np.arange(1, 1e6 + 1)
    assert wide.mean == pytest.approx((k**-0.3).sum() / (k**-1.3).sum(), rel=1e-10)


def test_a_mixture_weighs_its_tail() -> None:
    body, tail = length_of("lognormal:mean=800,cv=1.2"), length_of("pareto:alpha=2.5,least=2000")
    mixture = length_of("mixture:body=(lognormal:mean=800,cv=1.2),tail=(pareto:alpha=2.5,least=2000),weight=0.2")
    assert np.abs(mixture.cdf(N) - 0.2 * tail.cdf(N) - 0.8 * body.cdf(N)).max() < 1e-12
    assert mixture.mean == pytest.approx(0.2 * tail.mean + 0.8 * body.mean)


def test_a_truncated_law_is_the_law_between_its_bounds() -> None:
    whole = sampled(length_of("lognormal:mean=800,cv=1.5"), 1_000_000)
    inside = whole[(whole >= 100) & (whole <= 1000)]
    values, _ = atoms(length_of("truncated:of=(lognormal:mean=800,cv=1.5),least=100,most=1000"))
    assert (values[0], values[-1]) == (100, 1000)
    law = length_of("truncated:of=(lognormal:mean=800,cv=1.5),least=100,most=1000")
    assert abs(inside.mean() - law.mean) < 5 * inside.std() / np.sqrt(inside.size)


def test_templates_are_as_popular_as_zipf_has_it_and_as_long_as_their_law() -> None:
    values, probabilities = atoms(length_of("templates:count=200,tokens=(lognormal:mean=800,cv=1),popularity=1.2"))
    zipf = np.arange(1, 201) ** -1.2
    assert np.sort(probabilities)[::-1] == pytest.approx(zipf / zipf.sum())
    sigma = np.sqrt(np.log(2))
    law = stats.lognorm(sigma, scale=800 * np.exp(-(sigma**2) / 2))
    assert np.abs(values - law.ppf((np.arange(200) + 0.5) / 200)).max() <= 2.0  # a token of rounding, one of parting


@pytest.mark.parametrize("count", [1, 2, 5, 40, 1000])
def test_the_most_popular_template_has_the_middle_length_and_popularity_says_nothing_of_length(count: int) -> None:
    values, probabilities = atoms(length_of(f"templates:count={count},tokens=(lognormal:mean=800,cv=1),popularity=0.5"))
    assert abs(probabilities.argmax() - (count - 1) / 2) <= 2  # a sequence of low discrepancy leaves no side out
    if count >= 40:
        assert abs(float(stats.spearmanr(values, probabilities).statistic)) < 0.1


def test_templates_of_one_length_are_told_apart_by_a_token_each_and_stay_within_the_largest_length() -> None:
    assert atoms(length_of("templates:count=4,tokens=800"))[0].tolist() == [800, 801, 802, 803]
    top = LARGEST_TOKENS
    assert atoms(length_of(f"templates:count=3,tokens={top}"))[0].tolist() == [top - 2, top - 1, top]


def test_an_empirical_table_keeps_its_values_and_their_weights() -> None:
    values, probabilities = atoms(Empirical(values=(30, 10, 20, 10), weights=(1, 1, 2, 0)))
    assert values.tolist() == [10, 20, 30]
    assert probabilities.tolist() == [0.25, 0.5, 0.25]


@pytest.mark.parametrize("whole", [True, False])
def test_a_table_of_very_many_values_keeps_its_mean_and_its_distribution(whole: bool) -> None:
    rng = np.random.default_rng(1)
    seen = rng.permutation(2_000_000)[:100_000] + 1.0 if whole else rng.uniform(size=100_000)
    length = Empirical(tuple(seen.tolist()))
    values, probabilities = atoms(length)
    assert values.size <= 20_000
    assert (np.diff(values) > 0).all()
    assert ((values == np.rint(values)).all()) == whole
    assert (values * probabilities).sum() == pytest.approx(seen.mean(), rel=1e-5)
    assert np.abs(table_cdf(length, np.sort(seen)) - np.arange(1, seen.size + 1) / seen.size).max() < 0.001


@pytest.mark.parametrize(
    "content", ["100\n200\n200\n", "tokens\n100\n200\n200\n", "tokens,count\n100,1\n\n 200 , 2\n", "200,2\r\n100,1"]
)
def test_lengths_are_read_from_a_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "lengths.csv").write_text(content)
    length = length_of(f"empirical:file={tmp_path}/lengths.csv")
    values, probabilities = atoms(length)
    assert values.tolist() == [100, 200]
    assert probabilities == pytest.approx([1 / 3, 2 / 3])
    assert LENGTHS.build(LENGTHS.text(length)) == length


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "empty"),
        ("tokens\n", "no line of numbers"),
        ("tokens\n100\nmany\n", "lengths.csv:3: expected 1 numbers, found 'many'"),
        ("100\n\n\nnan\n", "lengths.csv:4:"),
        ("100,2\n200\n", "lengths.csv:2:"),
        ("1,2,3\n", "3 columns"),
        ("1\n2,3\n", "cannot be read as a CSV"),
        ("100\n-5\n", "values must be"),
        ("100,0\n200,0\n", "not all 0"),
        ("100,-1\n", "weights"),
    ],
)
def test_a_file_of_other_things_is_told_of_in_a_line(tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "lengths.csv").write_text(content)
    with pytest.raises(DataError) as fault:
        length_of(f"empirical:file={tmp_path}/lengths.csv")
    assert told in str(fault.value)
    assert "lengths.csv" in str(fault.value)
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize(
    "text",
    [
        "lognormal",
        "lognormal:mean=800",
        "lognormal:mean=0,cv=1",
        "lognormal:mean=800,cv=0",
        "lognormal:mean=800,cv=-1",
        "lognormal:mean=800,cv=nan",
        "lognormal:mean=inf,cv=1",
        "lognormal:mean=many,cv=1",
        "lognormal:mean=800,cv=1,cv=2",
        "lognormal:mean=800,sigma=1",
        "exponential:mean=0.5",
        "exponential:mean=1e9",
        "exponential:500",
        "templates",
        "templates:count=0,tokens=800",
        "templates:count=2.5,tokens=800",
        "templates:count=20000,tokens=800",
        "templates:count=3,tokens=0",
        "templates:count=3,tokens=800,share=0",
        "templates:count=3,tokens=800,popularity=-1",
        "pareto:alpha=0",
        "pareto:alpha=1.5,least=0",
        "zipf:exponent=-1,most=10",
        "zipf:exponent=1,most=2.5",
        "zipf:exponent=1,most=1e9",
        "mixture:body=100,tail=200,weight=1.5",
        "mixture:body=(nothing:a=1),tail=200,weight=0.5",
        "mixture:body=0.5,tail=200,weight=0.5",
        "truncated:of=(lognormal:mean=800,cv=1.5),least=10,most=5",
        "truncated:of=(lognormal:mean=800,cv=0.1),least=10,most=12",
        "truncated:of=(lognormal:mean=800,cv=1.5",
        "truncated:least=1",
        "empirical",
        "empirical:values=(1,two)",
        "empirical:values=(1,-2)",
        "empirical:values=(1,1e9)",
        "empirical:values=(1,2),weights=(1)",
        "empirical:values=(1,2),weights=(0,0)",
        "empirical:values=(1,2),file=x.csv",
        "empirical:file=/no/such/file.csv",
        "empirical:file=3",
        "weibull:cv=1",
        "",
        "nan",
        "-5",
    ],
)
def test_a_law_that_cannot_be_is_told_of_in_a_line(text: str) -> None:
    with pytest.raises(UsageError) as told:
        length_of(text)
    assert "\n" not in str(told.value)
    assert len(str(told.value)) > 10


def test_parts_can_be_made_in_python() -> None:
    inner = LogNormal(mean=800, cv=1.5)
    assert Truncated(of=inner, most=8192) == LENGTHS.build("truncated:of=(lognormal:mean=800,cv=1.5),most=8192")
    assert length_of(inner) is inner
    assert length_of(800) == length_of("800") == Empirical(values=(800,))
    with pytest.raises(GroundswellError, match="a length is a number"):
        length_of([1, 2])  # type: ignore[arg-type]
