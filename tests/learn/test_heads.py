"""Conditional heads: scores are those of what `plan` draws, the right conditioning is learned and nothing else is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from adaptaug import AdaptAugError, Views, measure
from adaptaug.learn import ConditionalHeads
from adaptaug.online.heads import _open
from adaptaug.online.likelihood import score_of_p, score_of_strength
from adaptaug.planning import Draws
from adaptaug.policy import Policy
from adaptaug.policy.conditional import STATISTICS, Moves
from tests.support.batches import SIDE, images, keys

MIXED: dict[str, Any] = {
    "hflip": {"p": 0.3},
    "blur": {"p": 0.7, "range": [0.0, 2.0]},
    "rotate": {"range": [-10, 30]},  # its identity is within the range, and not in the middle
    "stretch": {"p": 0.5, "range": [0.5, 1.5], "shape": [2.0, 3.0]},  # in the logarithm, not uniform
    "exposure": {"p": 0.5, "mean": [0.3, 0.7], "std": [0.12, 0.28]},
    "brightness": {"p": 0.8, "range": [-0.4, 0.4]},
    "contrast": {"p": 0.8, "range": [-0.4, 0.4], "shape": [0.7, 0.8]},
    "saturation": {"p": 0.8, "range": [-0.4, 0.4], "together": "jitter"},
    "hue": {"p": 0.4, "range": [-0.1, 0.1], "together": "jitter"},
}
POLICIES = {
    "natural": Policy.load("natural"),
    "mixed": Policy.parse({"version": 1, "name": "mixed", "operations": MIXED}),
    "no guards": Policy.parse({"version": 1, "name": "no guards", "guards": False, "operations": MIXED}),
    "shared": Policy.parse({"version": 1, "name": "shared", "guards": False, "operations": {
        "rotate": {"range": [-20, 90]}, "saturation": {"p": 0.5, "range": [0, 2], "together": "jitter"},
        "hue": {"p": 0.3, "range": [0.1, 0.4], "together": "jitter"}},
        "pair": {"share": ["saturation", "hue", "rotate"], "second": {"hue": {"p": 0.6}}}}),
}  # fmt: skip


# --- the likelihood -----------------------------------------------------------------------------------------
def tiny() -> torch.Tensor:
    """One photograph-like image of 8 px, bright and contrasty."""
    return torch.nn.functional.avg_pool2d(images(4).float(), 4).round()[2:3]


def moved(policy: Policy, count: int, p: dict[str, float], strength: dict[str, float]) -> Any:
    """Pairs of one photograph's tiny copy with everything moved alike, as (views, params)."""

    def push(stats: Any) -> Moves:
        return Moves(
            *({name: stats.mean * 0 + by for name, by in each.items()} for each in (p, strength)), {}
        )

    key = torch.tensor([[1, 0, i] for i in range(count)])
    make = Views(policy, size=8, finish="unit", return_params=True)
    return make(tiny().to(torch.uint8).expand(count, -1, -1, -1), key=key, strength=push)


@pytest.mark.parametrize("name", POLICIES)
def test_scores_are_the_slope_of_what_is_drawn(name):
    """d E[f] / d eta = E[f * score], f being how far two rendered views are from their image: the left by finite
    differences of what `plan` draws, the right by the scores. All operations move, each by an amount of its own."""
    policy, count, step = POLICIES[name], 16_000, 0.1
    gates, amounts = _open(policy)
    rng = np.random.default_rng(0)
    by = [{n: float(rng.uniform(0.3, 1.0)) for n in group} for group in (gates, amounts)]

    def at(eta: float) -> tuple[torch.Tensor, Any]:
        views, params = moved(policy, count, *({n: eta * v for n, v in each.items()} for each in by))
        return sum((view - tiny() / 255).abs().double().mean((1, 2, 3)) for view in views), params

    (less, _), (apart, params), (more, _) = at(-step), at(0.0), at(step)
    slope = (more - less) / (2 * step)
    score = sum(by[0][n] * score_of_p(params, policy, n, gates[n]) for n in gates)
    score = score + sum(by[1][n] * score_of_strength(params, policy, n) for n in amounts)
    along = (apart - apart.mean()) * score
    error = math.hypot(float(along.std()), float(slope.std())) / math.sqrt(count)
    assert abs(float(score.mean())) < 4 * float(score.std()) / math.sqrt(count)
    assert float(slope.mean()) > 8 * error  # there is something to be seen
    assert abs(float(along.mean() - slope.mean())) < 4 * error


@pytest.mark.parametrize("eta", [-0.7, 0.0, 0.9])
def test_frequencies_are_those_of_the_likelihood(eta):
    """Of 10^5 draws: how often each member of a group acts, and how shares of the way are distributed."""
    count, policy = 100_000, POLICIES["no guards"]
    stats = measure(images(1)).rows(torch.zeros(count, dtype=torch.int64))
    some = torch.full((count,), eta, dtype=torch.float64)
    rows = torch.tensor([[3, 0, i] for i in range(count)])
    draws = Draws(policy, rows, 0, stats, Moves({"saturation": some}, {"rotate": some, "stretch": some}, {}))
    for member in ("saturation", "hue"):
        expected = 1 / (1 + math.exp(-math.log(policy[member].p / (1 - policy[member].p)) - eta))
        assert float(draws.applied(member).double().mean()) == pytest.approx(expected, abs=0.006)
    low, high = some * 0 - 10, some * 0 + 30
    place = draws.within("rotate", 1, low, high, 0.0)
    for side, end in ((place > 0.25, 1.0), (place < 0.25, 0.0)):
        share = (place[side] - 0.25) / (end - 0.25)  # uniform ** exp(-eta): P(share < x) = x ** exp(eta)
        for x in (0.2, 0.5, 0.8):
            assert float((share < x).double().mean()) == pytest.approx(x ** math.exp(eta), abs=0.01)
    share = draws.within("stretch", 1, some * 0, some * 0 + 1, 0.0)  # Kumaraswamy's share, from one end
    inside = (0.5 ** math.exp(eta)) ** 2.0
    assert float((share < 0.5).double().mean()) == pytest.approx(1 - (1 - inside) ** 3.0, abs=0.01)


def test_scores_are_the_slope_of_the_log_likelihood():
    """Term by term, against finite differences of log P with the draw held fixed."""
    policy, count, eta, step = POLICIES["no guards"], 500, 0.4, 1e-5
    _, params = moved(policy, count, {"saturation": eta}, {"stretch": eta, "rotate": eta})
    view = params[0]
    odds = torch.logit(torch.tensor([policy[name].p for name in ("saturation", "hue")], dtype=torch.float64))

    def log_p(at: float) -> torch.Tensor:
        high, low = torch.sigmoid(odds + at)
        both, one = (view.evidence[f"gate.{n}"] for n in ("hue", "saturation"))
        return torch.where(both, low, torch.where(one, high - low, 1 - high)).log()

    def log_share(name: str, at: float) -> torch.Tensor:
        """log density of y = d ** exp(-eta): g(y ** c) c y ** (c - 1)."""
        u, start = (view.evidence[f"{part}.{name}.1"] for part in ("fraction", "start"))
        way = torch.where(u >= start, 1 - start, -start)
        y, c = ((u - start) / way) ** math.exp(-eta), math.exp(at)
        x, (a, b) = start + way * y**c, policy[name].shape
        g = torch.log(a * b * x ** (a - 1) * (1 - x**a) ** (b - 1))
        return torch.where(view.evidence[f"gate.{name}"], g + at + (c - 1) * y.log(), 0.0)

    def slope(of: Any) -> torch.Tensor:
        return (of(eta + step) - of(eta - step)) / (2 * step)

    assert torch.allclose(
        score_of_p([view], policy, "saturation", ["saturation", "hue"]), slope(log_p), atol=1e-6
    )
    for name in ("stretch", "rotate"):
        found, expected = score_of_strength([view], policy, name), slope(lambda at: log_share(name, at))  # noqa: B023
        assert torch.allclose(found, expected, atol=1e-4, rtol=1e-4), name


# --- learning -----------------------------------------------------------------------------------------------
TASK = Policy.parse({"version": 1, "name": "task", "guards": False, "operations": {
    "crop": {"area": [0.3, 1.0]}, "hflip": {"p": 0.5}, "exposure": {"p": 0.5, "mean": [0.3, 0.7], "std": [0.1, 0.2]},
    "brightness": {"p": 0.5, "range": [-0.4, 0.4]}, "noise": {"range": [0, 0.1]}}})  # fmt: skip
BATCH = 64


def run(heads: ConditionalHeads, steps: int, first: int = 0, permuted: bool = False) -> Any:
    """No network: pairs are inside the band where exactly the dark images were exposed anew, in both views."""
    make, eye = Views(heads.start, size=SIDE, return_params=True), torch.eye(2 * BATCH)
    views = told = None
    for step in range(first, first + steps):
        other = torch.from_numpy(np.random.default_rng(step).permutation(BATCH))
        ask = (lambda stats: heads.strength(stats.rows(other))) if permuted else heads.strength  # noqa: B023
        some = images(BATCH, seed=step)
        views, params = make(some, key=keys(step, BATCH), strength=ask)
        dark = some.float().mean((1, 2, 3)) < 125
        right = torch.stack([p.evidence["gate.exposure"] == dark for p in params]).all(0)
        told = heads.observe(eye[:BATCH], torch.where(right[:, None], eye[:BATCH], eye[BATCH:]), params)
    return views, told


def heads_of(steps: int, **options: Any) -> ConditionalHeads:
    return ConditionalHeads(TASK, steps, band=(0.5, None), statistics=("mean", "contrast"), **options)


@pytest.fixture(scope="module")
def learned() -> tuple[ConditionalHeads, Any]:
    heads = heads_of(250)
    return heads, run(heads, 250)[1]


def test_the_right_conditioning_is_learned(learned):
    heads, told = learned
    kept = heads.policy.conditional
    assert kept.operations["exposure"].p["mean"] < -0.8  # dark images are exposed anew, bright ones are not
    assert set(kept.operations) == {"exposure"} and set(kept.statistics) == {"mean"}
    assert not kept.operations["exposure"].strength
    assert float(told["heads_inside"]) > 0.4  # a quarter at first
    assert kept.statistics["mean"] == pytest.approx((0.49, 0.255), abs=0.02)


def test_another_images_statistics_teach_nothing():
    heads = heads_of(250)
    run(heads, 250, permuted=True)
    assert float(heads.weights.abs().max()) < 0.25
    assert not heads.policy.conditional.operations.keys() - {"exposure"}


def test_the_policy_file_draws_what_the_learner_drew(learned, tmp_path):
    """Written with all its weights: the same gates, amounts equal but for the file's three digits."""
    heads, _ = learned
    heads.least, before = 0.0, heads.least
    heads.policy.save(tmp_path / "learned.yaml")
    heads.least = before
    file = Policy.load(tmp_path / "learned.yaml")
    assert file == Policy.loads(file.dumps()) and "learned in 250 steps" in file.provenance["conditional"]
    some, key = images(BATCH, seed=9), keys(9, BATCH)
    short = heads.policy
    short.save(tmp_path / "short.yaml")
    read = Policy.load(tmp_path / "short.yaml")
    made, again = (Views(policy, size=SIDE)(some, key=key) for policy in (short, read))
    assert all(torch.equal(a, b) for a, b in zip(made, again, strict=True))
    (one, first), (two, second) = (
        Views(TASK, size=SIDE, finish="unit", return_params=True)(some, key=key, strength=heads.strength),
        Views(file, size=SIDE, finish="unit", return_params=True)(some, key=key),
    )
    for a, b in zip(first, second, strict=True):
        for name, entry in a.entries.items():
            assert float((entry.applied != b.entries[name].applied).double().mean()) < 0.02, name
    # noise levels and bilinear weights move with the digits; an untouched policy's views are far away
    assert float((one[0] - two[0]).abs().mean()) < 0.01
    plain = Views(TASK, size=SIDE, finish="unit")(some, key=key)
    assert float((one[0] - plain[0]).abs().mean()) > 0.02


def test_the_warm_up_changes_nothing():
    heads = heads_of(100, warm_up=5)
    views, _ = run(heads, 5)
    assert not heads.weights.any()
    plain = Views(TASK, size=SIDE)(images(BATCH, seed=4), key=keys(4, BATCH))
    assert all(torch.equal(a, b) for a, b in zip(views, plain, strict=True))
    run(heads, 1, first=5)
    assert heads.weights.any()


def test_the_last_fifth_is_frozen():
    heads = heads_of(20, warm_up=2)
    run(heads, 16)
    before = heads.weights.clone()
    assert before.any()
    run(heads, 4, first=16)
    assert torch.equal(heads.weights, before)


def test_a_weight_moves_by_a_step_at_most():
    heads = heads_of(20, warm_up=1, rate=100.0, step=0.03)
    run(heads, 2)
    assert float(heads.weights.abs().max()) == pytest.approx(0.03)


def test_the_prior_holds():
    """However well it pays, weights stay near the policy where the prior weighs much."""
    free, held = heads_of(120), heads_of(120, prior=10.0)
    assert float(run(held, 120)[1]["heads_kl"]) < 0.1 * float(run(free, 120)[1]["heads_kl"])


def test_entropy_has_a_floor():
    """With no prior p would go to 0 and 1; the floor keeps a share of the entropy that the policy had."""
    options = {"prior": 0.0, "rate": 0.3, "step": 0.2, "limit": 5.0}
    found = {}
    for floor in (0.0, 0.7):
        heads = heads_of(150, floor=floor, **options)
        _, told = run(heads, 120)
        found[floor] = float(told["heads_entropy"]) - 2 * math.log(2)  # hflip and brightness stay at .5
    assert found[0.0] < 0.3 < 0.7 * math.log(2) - 0.1 < found[0.7]


def test_a_saved_learner_goes_on_bit_for_bit():
    one, other = heads_of(40, warm_up=3), heads_of(40, warm_up=3)
    run(one, 10)
    other.load_state_dict(one.state_dict())
    for heads in (one, other):
        run(heads, 5, first=10)
    assert torch.equal(one.weights, other.weights) and torch.equal(one.baseline, other.baseline)
    assert one.policy == other.policy


def test_what_is_locked_is_left_alone():
    policy = Policy.load("simclr-cifar").edit({"hue": {"lock": True}, "grey": {"lock": True}})
    heads = ConditionalHeads(policy, 100)
    assert "grey" not in heads.names and "hue" not in heads.names
    assert "brightness" not in heads.gates and "brightness" in heads.amounts  # hue would have moved with it
    assert heads.gates.keys() == {"hflip"} and "crop" in heads.amounts


def test_one_image_is_moved_as_in_a_batch(learned):
    heads, _ = learned
    batch = images(4)
    many, one = heads.strength(measure(batch)), heads.strength(measure(batch[1].permute(1, 2, 0).numpy()))
    assert one.p["exposure"][0] == pytest.approx(float(many.p["exposure"][1]), abs=1e-12)


@pytest.mark.parametrize(
    ("policy", "options", "sentence"),
    [
        (Policy.load("natural").edit(band=(0.1, 0.8)), {}, "without a band"),
        (Policy.load("natural").edit(conditional={"operations": {"hflip": {}}}), {}, "without conditional weights"),
        ({"version": 1, "operations": {"hflip": {}}}, {}, "a p between 0 and 1 or a range"),
        ("natural", {"statistics": ("size",)}, f"some of {STATISTICS[0]}.*got size"),
        ("natural", {"band": (None, None)}, "a floor, a ceiling, or both"),
    ],
)  # fmt: skip
def test_what_cannot_be_learned_on_is_refused(policy, options, sentence):
    with pytest.raises(AdaptAugError, match=sentence):
        ConditionalHeads(policy, 100, **options)


def test_views_of_another_making_are_refused():
    _, params = Views(TASK, size=SIDE, return_params=True)(images(4), key=keys(0, 4))
    with pytest.raises(AdaptAugError, match=r"strength=heads\.strength"):
        heads_of(10).observe(torch.eye(4), torch.eye(4), params)


@pytest.mark.parametrize("library", ["plain", "lightly"])
def test_in_somebody_elses_loop(library):
    """The lines of the README, in a loop of plain PyTorch and with lightly's loss."""
    model = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(8), torch.nn.Flatten(), torch.nn.Linear(192, 16))
    if library == "lightly":
        loss_of = pytest.importorskip("lightly.loss").NTXentLoss()
    else:

        def loss_of(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
            one, other = (torch.nn.functional.normalize(z, dim=1) for z in (one, other))
            return torch.nn.functional.cross_entropy(one @ other.T / 0.5, torch.arange(len(one)))

    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    make, heads = Views("natural", size=SIDE, return_params=True), ConditionalHeads("natural", steps=10)
    for step in range(10):
        views, params = make(images(), key=keys(step), strength=heads.strength)
        first, second = (model(view) for view in views)
        loss = loss_of(first, second)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        told = heads.observe(first, second, params)
    assert all(torch.isfinite(value) for value in told.values())
    assert 0 < float(told["heads_largest"]) <= 7 * heads.step
    assert heads.policy.operations == Policy.load("natural").operations
