"""Screening: the design, what it says of known effects, and the search by it."""

import itertools
import json
import multiprocessing
import signal

import numpy as np
import pytest
import torch
from skimage.data import astronaut

pytest.importorskip("optuna")
pytest.importorskip("lightly")


from adaptaug.cli import run
from adaptaug.errors import AdaptAugError
from adaptaug.learn.design import BASE, GENERATORS, INTERACTIONS, aliases, corners, matrix, terms
from adaptaug.learn.effects import Prior, fit, sentences
from adaptaug.learn.factors import FACTORS, NAMES, corner, inert_factors, levels_from, levels_of, signs
from adaptaug.learn.memory import Memory, Remembered
from adaptaug.learn.report import write_report
from adaptaug.learn.schedule import RUNS
from adaptaug.learn.screening import AGAIN, KNOWN, Screening, epochs_for
from adaptaug.learn.search import Search
from adaptaug.policy import Policy, preset_names
from tests.learn.conftest import small
from tests.support.killed import kill_search

pytestmark = pytest.mark.usefixtures("light_network", "no_study_file")


# --- the design ---------------------------------------------------------------------------------------------
def test_the_design_has_resolution_four():
    """No main effect is in another's column, or in that of an interaction of two."""
    levels = np.array(corners())
    assert levels.shape == (16, 8) and len(set(corners())) == 16
    assert (levels.T @ levels == 16 * np.eye(8)).all()
    for a, b in itertools.combinations(range(8), 2):
        assert (levels.T @ (levels[:, a] * levels[:, b]) == 0).all()


def test_the_alias_table_is_complete_and_keeps_the_three_interactions_apart():
    table = aliases()
    assert sorted(pair for column in table for pair in column) == sorted(itertools.combinations(NAMES, 2))
    assert [len(column) for column in table] == [4] * 7
    where = [next(n for n, column in enumerate(table) if pair in column) for pair in INTERACTIONS]
    assert len(set(where)) == 3


def test_generators_are_of_the_base():
    assert {*BASE, *GENERATORS} == set(NAMES) and set(itertools.chain(*GENERATORS.values())) <= set(BASE)


# --- corners ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", [name for name in preset_names() if not Policy.load(name).routes])
@pytest.mark.parametrize("levels", [corners()[0], corners()[5], corners()[15]], ids=signs)
def test_a_corner_is_read_back(name, levels):
    placed = corner(Policy.load(name), levels, "placed")
    assert levels_of(placed) == levels and placed.guards
    assert levels_from(signs(levels)) == levels


def test_presets_lie_where_their_descriptions_say():
    told = {name: {n for n, level in zip(NAMES, levels_of(Policy.load(name)), strict=True) if level > 0}
            for name in ("natural", "digits")}  # fmt: skip
    assert told["natural"] == {"crop", "colour", "grey", "exposure", "flip", "blur"}
    assert told["digits"] == {"stretch", "rotation", "blur"}


def test_a_locked_factor_stays_as_the_start_has_it():
    start = Policy.load("simclr").edit({"hflip": {"p": 0.3, "lock": True}})
    assert corner(start, (-1,) * 8, "all low")["hflip"] == start["hflip"]


def test_factors_that_change_no_pixel_are_found():
    colour = torch.from_numpy(astronaut()[None, ::8, ::8].copy()).permute(0, 3, 1, 2)
    grey = colour[:, :1].repeat(1, 3, 1, 1)
    assert inert_factors(colour, 32) == ["blur"]  # guarded: never at 32 px and below
    assert inert_factors(grey, 32) == ["colour", "grey", "blur"]


# --- effects ------------------------------------------------------------------------------------------------
def _scores(truth, noise, rng):
    of = [tuple(name.split(" x ")) for name in truth]
    return 70 + matrix(corners(), of) @ np.array(list(truth.values())) + rng.normal(0, noise, 16)


def test_intervals_cover_true_effects():
    truth = {"flip": -6.0, "crop": 3.0, "colour": 0.0, "crop x colour": 1.5}
    rng, inside = np.random.default_rng(0), 0
    for _ in range(200):
        scores = _scores(truth, 1.0, rng)
        again = [(scores[n], scores[n] + rng.normal(0, 1.0) - rng.normal(0, 1.0)) for n in AGAIN]
        effects = fit(corners(), scores, again)
        intervals = [effects.interval(tuple(name.split(" x "))) for name in truth]
        inside += sum(i.low <= value <= i.high for i, value in zip(intervals, truth.values(), strict=True))
    assert 0.93 <= inside / 800 <= 0.99


def test_without_noise_the_effects_are_found():
    truth = {"flip": -6.0, "exposure": 2.0, "colour x exposure": -3.0}
    effects = fit(corners(), _scores(truth, 0, np.random.default_rng(0)))
    found = dict(zip(effects.terms, effects.mean, strict=True))
    assert all(found[tuple(n.split(" x "))] == pytest.approx(v, abs=0.3) for n, v in truth.items())
    assert found["colour",] == pytest.approx(0, abs=0.3)


def test_a_sure_prior_holds_against_one_design():
    scores = _scores({"flip": -2.0}, 0, np.random.default_rng(0))
    free, held = (fit(corners(), scores, priors=p) for p in ({}, {("flip",): Prior(-6.0, 0.05)}))
    assert free.interval(("flip",)).mean == pytest.approx(-2, abs=0.2)
    assert held.interval(("flip",)).mean == pytest.approx(-6, abs=0.2)


def test_what_drops_out_is_not_fitted():
    assert terms(["crop", "exposure", "flip"]) == [("crop",), ("exposure",), ("flip",)]
    assert ("crop", "grey") in terms(NAMES)


def test_the_sentences_say_what_people_read():
    scores = _scores({"flip": -6.0, "crop": 4.0}, 0.0, np.random.default_rng(1))
    told = sentences(fit(corners(), scores, names=NAMES[:-1]), ["blur"])
    assert told[0].startswith("a flip costs ") and told[1].startswith("small crops gain ")
    assert "blur changes no pixel" in told and any("colour: no effect that shows" in s for s in told)


def test_a_run_is_as_long_wherever_images_are_few():
    assert [epochs_for(n) for n in (3000, 6000, 1347, 200)] == [4, 4, 9, 60]


# --- the search ---------------------------------------------------------------------------------------------
def screening(data, folder, memory=None, **options):
    """A search that remembers nothing, unless a memory is given."""
    recipe, memory = small(data, tasks=True), memory or Memory()
    return Search(recipe, "natural", folder, workers=0, method="screen", memory=memory, **options)


def _pretend(search, truth, verified=0.7, more=()):
    """Results as the training jobs would have written them: `truth` by factor in points, `verified` of all arms but the
    start, which has .7; `more` by number of the arms behind the design."""
    (search.folder / "arms").mkdir(parents=True, exist_ok=True)

    def write(name, accuracy):
        hits = np.random.default_rng(0).permutation(2000) < 2000 * accuracy
        np.savez(
            search.folder / "arms" / f"{name}.npz",
            knn=hits,
            ridge=hits,
            rotation=hits,
            edges=hits,
            seconds=1.0,
        )

    of = [(name,) for name in truth]
    high = matrix([search.how.levels(levels) for levels in corners()], of) @ np.array(list(truth.values()))
    for number, score in enumerate(0.6 + high / 100, 1):
        write(f"corner-{number:02d}", score)
        write(f"again-{number:02d}", score)
    for number, accuracy in dict(more).items():
        write(f"corner-{number:02d}", accuracy)
    for number, r in itertools.product(range(24), range(1, RUNS + 1)):
        write(f"verify-{number:02d}-run-{r}", verified if number else 0.7)


BEST = {"crop": -4.0, "exposure": 2.0, "stretch": 3.0, "flip": -6.0, "rotation": 5.0}


def test_the_best_corner_is_verified_and_ships_only_if_proven(digits, tmp_path):
    search = screening(digits, tmp_path)
    assert search.how.off == ["colour", "grey", "blur"]
    _pretend(search, BEST)
    outcome = search.run()
    assert signs(levels_of(outcome.best.policy)) == "---++-+-"
    assert not outcome.shipped and outcome.policy.operations == Policy.load("natural").operations
    assert len(outcome.against) == 1
    found = outcome.policy.provenance["effects"]
    assert found["flip"][1] < -6 < found["flip"][2] and found["flip"][2] < 0


def test_a_corner_that_is_proven_ships(digits, tmp_path):
    search = screening(digits, tmp_path)
    _pretend(search, BEST, verified=0.8)
    outcome = search.run()
    assert outcome.shipped and outcome.gain.low > 0
    assert (
        outcome.policy.operations == corner(Policy.load("natural"), levels_from("---++-+-"), "x").operations
    )


def test_equal_corners_change_nothing_of_the_start(digits, tmp_path):
    search = screening(digits, tmp_path)
    best = search.how.best(fit(corners(), np.full(16, 60.0), names=search.how.names))
    assert best[0] == search.how.levels(levels_of(Policy.load("natural")))


def test_a_design_has_a_fixed_budget(digits, tmp_path):
    with pytest.raises(AdaptAugError, match="the 16 policies of the design"):
        screening(digits, tmp_path, budget=30)


def test_further_levels_are_policies():
    """And other ones than the design's two; a flip has none."""
    start = Policy.load("natural")
    for factor in FACTORS:
        policies = [
            start.edit(changes).operations for changes in (factor.high, factor.low) if any(changes.values())
        ]
        policies += [start.edit(changes).operations for _, changes in factor.more]
        assert len(factor.more) == (0 if factor.name == "flip" else 2)
        assert all(policies.count(policy) == 1 for policy in policies)


@pytest.mark.parametrize(("budget", "words"), [(18, ["half the rotation", "more rotation"]),
                                               (20, ["half the rotation", "more rotation", "crops from .2",
                                                     "crops from .6"])])  # fmt: skip
def test_a_larger_budget_tries_more_levels_of_what_matters_most(digits, tmp_path, budget, words):
    """Of a flip, which matters most here, there are none."""
    search = screening(digits, tmp_path, budget=budget)
    _pretend(search, BEST, 0.8, {17: 0.7, 18: 0.72, 19: 0.69, 20: 0.7, 21: 0.7})
    outcome = search.run()
    assert [arm.name for arm in outcome.arms[18:]] == [f"corner ---++-+- with {what}" for what in words]
    assert outcome.best.name == "corner ---++-+- with half the rotation" and outcome.shipped
    assert outcome.policy["rotate"].range == (-7.5, 7.5) and outcome.policy["stretch"].p > 0
    assert outcome.cost["arms"] == 16 + 1 + len(words)
    report = write_report(search, outcome).read_text()
    assert "`---++-+- with half the rotation` | 72.00" in report


def _mind(**lost):
    """A memory of one set: points that policies lost there."""
    return Memory([Remembered(name="one", profile={}, effects={}, behind={"labels": lost})])


@pytest.mark.parametrize(
    ("reached", "order"),
    [
        (0.9, ["documents", "corner ---++-+-"]),
        (0.69, ["corner ---++-+-", "documents"]),
        (0.6, ["corner ---++-+-", "corner ----+-+-"]),
    ],
    ids=["above all corners", "above the second", "below both"],
)
def test_what_the_memory_knows_is_verified_where_it_did_better(digits, tmp_path, reached, order):
    """The two that lost least are tried, the start left out; corners are expected at 70 and 68."""
    memory = _mind(natural=0.0, lowlight=1.0, documents=2.0, simclr=3.0)
    search = screening(digits, tmp_path, memory=memory)
    _pretend(search, BEST, 0.8, {18: 0.5, 19: reached})
    outcome = search.run()
    tried = [arm.name for arm in outcome.arms if arm.correct and not arm.name.startswith("corner")]
    assert tried == ["lowlight", "documents"]
    assert list(outcome.against) == order
    report = write_report(search, outcome).read_text()
    assert f"| `documents` | {100 * reached:.2f} |" in report and f"{Screening.runs} runs of" in report


def test_of_a_start_with_locks_only_corners_are_tried(digits, tmp_path):
    start = Policy.load("natural").edit({"blur": {"lock": True}})
    memory = _mind(documents=0.0)
    search = Search(small(digits), start, tmp_path, workers=0, method="screen", memory=memory)
    _pretend(search, BEST)
    assert {arm.name.split()[0] for arm in search.run().arms} == {"start", "corner"}


def test_what_was_offered_first_is_kept(digits, tmp_path):
    """A memory that has grown in between changes nothing of a search that was begun."""
    outcomes = []
    for memory in (_mind(documents=0.0), _mind(lowlight=0.0)):
        search = screening(digits, tmp_path, memory=memory)
        _pretend(search, BEST, 0.8, {18: 0.9})
        outcomes.append(search.run())
    assert [outcome.best.name for outcome in outcomes] == ["documents"] * 2


def test_levels_that_are_no_better_are_not_verified(digits, tmp_path):
    search = screening(digits, tmp_path, budget=18)
    _pretend(search, BEST, 0.8, {17: 0.7, 18: 0.7, 19: 0.69})
    outcome = search.run()
    assert outcome.best.name == "corner ---++-+-" and not any("with" in name for name in outcome.verified)


def test_all_locked_is_refused(digits, tmp_path):
    start = Policy.load("natural")
    locked = start.edit({name: {"lock": True} for name in start.operations})
    locked = locked.edit({"rotate": {"range": (0, 0), "lock": True}})
    with pytest.raises(AdaptAugError, match="locks all"):
        Search(small(digits), locked, tmp_path, workers=0, method="screen")


def test_an_unknown_method_is_refused(digits, tmp_path):
    with pytest.raises(AdaptAugError, match="halving, screen"):
        Search(small(digits), "natural", tmp_path, method="grid")


# --- the command --------------------------------------------------------------------------------------------
def arguments(data, out, *more):
    return ["search", str(data), "--method", "screen", "--start", "natural", "--limit", "64", "--seed", "3", "--size",
            "16", "--batch", "16", "--epochs", "1", "--workers", "0", "--out", str(out), *more]  # fmt: skip


@pytest.fixture(scope="module")
def screened(digits, tmp_path_factory):
    from tests.support.network import light

    out = tmp_path_factory.mktemp("screened") / "policy.yaml"
    with light():
        assert run(arguments(digits, out, "--remember", str(out.parent / "mine.yaml"))) == 0
    return out


def test_the_report_has_effects_and_aliases(screened):
    folder = screened.with_suffix(".search")
    text = (folder / "report.md").read_text()
    assert (folder / "effects.png").stat().st_size > 5000
    assert "crop x exposure" in text and "changes no pixel" in text
    assert all(factor.name in text for factor in FACTORS)
    assert Policy.load(screened).provenance["cost"]["arms"] == 16 + KNOWN


@pytest.mark.parametrize(
    "moment", [3, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 8, 15, 17, 18, 20, 22, 25, 27))]
)
def test_killed_and_run_again_gives_the_same_policy(digits, screened, tmp_path, moment):
    out = tmp_path / "policy.yaml"
    assert kill_search(arguments(digits, out), out, moment) == -signal.SIGKILL and not out.exists()
    assert run(arguments(digits, out)) == 0
    assert out.read_text() == screened.read_text()


def test_two_processes_on_one_study_find_the_policy_of_one(digits, screened, tmp_path):
    shared = ["--storage", f"sqlite:///{tmp_path}/jobs.db", "--study", "s"]
    outs = [tmp_path / name / "policy.yaml" for name in "ab"]
    for out in outs:
        out.parent.mkdir()
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=run, args=(arguments(digits, out, *shared),)) for out in outs]
    for process in both:
        process.start()
    for process in both:
        process.join(300)
    assert [process.exitcode for process in both] == [0, 0]
    assert {out.read_text() for out in outs} == {screened.read_text()}


def test_a_dry_run_counts_the_design(digits, tmp_path, capsys):
    assert run([*arguments(digits, tmp_path / "policy.yaml"), "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    assert "5 factors" in told and f"at most {16 + len(AGAIN) + KNOWN + 3 * Screening.runs} epochs" in told


def test_what_was_screened_is_remembered(screened):
    import yaml

    (known,) = yaml.safe_load((screened.parent / "mine.yaml").read_text())["sets"]
    assert set(known["effects"]["labels"]) == {"crop", "exposure", "stretch", "flip", "rotation"}
    assert known["profile"]["grey"] == 1.0 and known["fingerprint"]
    priors = json.loads((screened.with_suffix(".search") / "priors.json").read_text())
    assert all(spread > 0 for _, spread in priors.values())
