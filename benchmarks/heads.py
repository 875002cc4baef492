"""Does what is learned while a network trains make it better? Paired seeds, one line for each arm and seed.

    python -m benchmarks.learning heads --data ../shared/data/cifar10_train_20k.npz=mixed \
        ../shared/data/mnist_train_20k.npz --out benchmarks/results/learning-heads/2-core-x86.jsonl

`heads`: conditional weights (`adaptaug.learn.ConditionalHeads`) against the policy as it is, against heads that see the
statistics of another image of the batch, and against a BandController. DATA may be followed by =EXPOSURE, of training
and test (`benchmarks.shifts`). The leak: how well the parameters drawn for a view tell in which of four bins (dark or
bright, flat or contrasty; chance is 25 %) its image is.
The same command goes on after it was stopped, and prints its table at the end.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from adaptaug import measure
from adaptaug.encoders.networks import fast_precision
from adaptaug.learn.arms import keys_of
from adaptaug.learn.intervals import over_runs
from adaptaug.online.band import BandController
from adaptaug.online.heads import ConditionalHeads
from adaptaug.params import ViewParams
from adaptaug.policy import Policy
from adaptaug.simclr.contrast import Contrast, new_contrast
from adaptaug.simclr.metrics import features, knn_correct, labelled_subset
from adaptaug.stats.image import ImageStats
from adaptaug.views import MultiCrop, Views
from benchmarks.accuracy import start_worker
from benchmarks.protocol import Probe, Recipe, Split, split
from benchmarks.schema import output, today
from benchmarks.shifts import expose, is_grey

PLAIN, ARMS = "policy as it is", ("policy as it is", "heads", "heads, permuted", "band")
_LOOKED_AT = 1_000_000  # epoch of the keys of what the leak is measured on


class Steered:
    """What moves an arm's views, asked and told; `spent`: seconds of the processor of each call."""

    def __init__(self, arm: str, policy: Policy, steps: int):
        self.permuted, self.spent = arm == "heads, permuted", list[float]()
        self.told: list[dict[str, torch.Tensor]] = []
        self.learner: Any = None
        if arm == "band":
            self.learner = BandController(warm_up=steps // 10)
        elif arm != PLAIN:
            self.learner = ConditionalHeads(policy, steps)

    @property
    def asked(self) -> Any:
        return None if self.learner is None else self._strength

    def _strength(self, stats: ImageStats) -> Any:
        began = time.process_time()
        if self.permuted:  # batches are shuffled, so the neighbour is any other image
            stats = stats.rows(torch.arange(len(stats)).roll(1))
        strength = self.learner.strength(stats)
        self.spent.append(time.process_time() - began)
        return strength

    def observe(self, first: torch.Tensor, second: torch.Tensor, params: list[ViewParams]) -> None:
        if self.learner is not None:
            began = time.process_time()
            self.told.append(self.learner.observe(first, second, params))
            self.spent.append(time.process_time() - began)

    def own_ms(self) -> float:
        """Of a step, the median: the calls before and after the network."""
        return 1000 * float(np.median(np.add(self.spent[::2], self.spent[1::2]))) if self.spent else 0.0

    def last(self) -> dict[str, float]:
        """What was told, on average over the last fifth of the steps."""
        lines = self.told[-(len(self.told) // 5 + 1) :]
        names = lines[0] if lines else ()
        return {name: round(float(np.mean([float(line[name]) for line in lines])), 4) for name in names}


def train(model: Contrast, steered: Steered, images: torch.Tensor, recipe: Recipe, seed: int) -> int:
    """As benchmarks.protocol.train, steered; the number of steps."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.rate, weight_decay=1e-4)
    each = len(images) // recipe.batch
    steps = recipe.epochs * each
    model.train()
    for step in range(steps):
        epoch, place = divmod(step, each)
        order = np.random.default_rng((seed, epoch)).permutation(len(images))
        index = order[place * recipe.batch : (place + 1) * recipe.batch]
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * min(1, (step + 1) / 50) * 0.5 * (1 + math.cos(math.pi * step / steps))
        some, key = images[torch.from_numpy(index)], keys_of(seed, epoch, index)
        views, params = model.views(some, key=key, strength=steered.asked)
        loss, first, second = model.loss_of(views)
        steered.observe(first, second, params)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    return steps


def judge(
    model: Contrast, data: Split, exposure: str, recipe: Recipe, seed: int, steps: int
) -> dict[str, Any]:
    """Accuracies in percent on the test split as it is and in the exposure of the training."""
    embed = lambda images: features(model.encoder, images, precision=model.precision)  # noqa: E731
    labelled = labelled_subset(data.train_labels, recipe.labels, seed)
    bank, bank_labels = embed(data.train[torch.from_numpy(labelled)]), data.train_labels[labelled]
    probe, labels = Probe(bank, bank_labels), data.test.unseal(model, steps)
    scores = {}
    for name in dict.fromkeys(("clean", exposure)):
        queries = embed(expose(data.test.pixels, np.arange(len(labels)), name, seed=1))
        hits = {
            "knn": knn_correct(bank, bank_labels, queries, labels),
            "probe": probe.correct(queries, labels),
        }
        scores[name] = {measure: round(100 * float(bits.mean()), 2) for measure, bits in hits.items()}
    return scores


def leak(views: Views | MultiCrop, steered: Steered, images: torch.Tensor, seed: int) -> float:
    """Balanced accuracy, %, on a quarter held out, of a logistic regression from a view's numbers to its bin."""
    count = len(images)
    stats = measure(images)
    mean, contrast = stats.mean.numpy(), stats.contrast.numpy()
    bright = mean > np.median(mean)
    contrasty = np.zeros(count, bool)
    for part in (bright, ~bright):
        contrasty[part] = contrast[part] > np.median(contrast[part])
    _, params = views(images, key=keys_of(seed, _LOOKED_AT, np.arange(count)), strength=steered.asked)
    numbers = [
        torch.stack([entry.value.double(), entry.applied.double()], 1) for entry in params[0].entries.values()
    ]
    points, bins = torch.cat(numbers, 1).numpy(), 2 * bright + contrasty
    order = np.random.default_rng(seed).permutation(count)
    training, queries = order[count // 4 :], order[: count // 4]
    fitted = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)).fit(
        points[training], bins[training]
    )
    return 100 * float(balanced_accuracy_score(bins[queries], fitted.predict(points[queries])))


def run(arm: str, data: str, exposure: str, policy: str | None, recipe: Recipe, seed: int) -> dict[str, Any]:
    """A line: one network of an arm, trained and judged."""
    apart = split(data, None, exposure, recipe, seed, None)
    start = Policy.load(policy or ("digits" if is_grey(apart.train[:256]) else "natural"))
    model = new_contrast(
        recipe.arch, start, apart.size, seed, precision=fast_precision("cpu"), return_params=True
    )
    steered = Steered(arm, start, recipe.epochs * (len(apart.train) // recipe.batch))
    began = time.process_time()
    steps = train(model, steered, apart.train, recipe, seed)
    cpu, own = time.process_time() - began, steered.own_ms()
    learned = steered.learner.policy if isinstance(steered.learner, ConditionalHeads) else None
    return {
        "arm": arm, "data": Path(data).name, "exposure": exposure, "policy": start.name, "asked": policy,
        "seed": seed,
        "recipe": recipe.common(), "cpu_seconds": round(cpu, 1), "own_ms_a_step": round(own, 2),
        "leak": round(leak(model.views, steered, apart.train, seed), 2),
        "scores": judge(model, apart, exposure, recipe, seed, steps),
        "told": steered.last(),
        "learned": None if learned is None else learned.conditional.model_dump(mode="json"), "when": today(),
    }  # fmt: skip


# --- the table ----------------------------------------------------------------------------------------------
def over_seeds(values: np.ndarray, other: np.ndarray) -> str:
    """Mean difference of percentages with its 95 % interval, Student's t over paired seeds."""
    if len(values) < 2:
        return f"{(values - other).mean():+.2f}"
    return str(over_runs(values / 100, other / 100))


COLUMNS = {
    "kNN-20": 1,
    "probe": 1,
    "leak": 1,
    "in the band": 2,
    "KL": 2,
    "own ms": 1,
    "CPU s": 0,
}  # and digits


def numbers(row: dict[str, Any]) -> list[float]:
    """A line's numbers in the order of the columns."""
    scores, log = row["scores"][row["exposure"]], row["told"]
    inside = log.get("heads_inside", 1 - log.get("band_below", math.nan) - log.get("band_above", math.nan))
    return [scores["knn"], scores["probe"], row["leak"], inside, log.get("heads_kl", math.nan),
            row["own_ms_a_step"], row["cpu_seconds"]]  # fmt: skip


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Markdown: means over seeds; of the first three the paired difference from the policy as it is, too."""
    lines = [f"| data, policy | arm | seeds | {' | '.join(COLUMNS)} |", "|" + "---|" * (3 + len(COLUMNS))]
    groups: dict[str, dict[str, dict[int, list[float]]]] = {}
    for row in rows:
        title = f"{row['data'].split('_')[0]}, {row['exposure']}, `{row['policy']}`"
        groups.setdefault(title, {}).setdefault(row["arm"], {})[row["seed"]] = numbers(row)
    for title, arms in groups.items():
        for arm in (arm for arm in ARMS if arm in arms):
            seeds = sorted(set(arms[arm]) & set(arms.get(PLAIN, arms[arm])))
            mine, plain = (np.array([of[s] for s in seeds]) for of in (arms[arm], arms.get(PLAIN, arms[arm])))
            cells = [
                f"{mean:.{digits}f}" for mean, digits in zip(mine.mean(0), COLUMNS.values(), strict=True)
            ]
            for i in range(3 if arm != PLAIN else 0):
                cells[i] += f", {over_seeds(mine[:, i], plain[:, i])}"
            lines.append(f"| {title} | {arm} | {len(seeds)} | {' | '.join(cells).replace('nan', '-')} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", required=True, metavar="DATA[=EXPOSURE]")
    parser.add_argument("--policy", help="default: digits for grey images, else natural")
    parser.add_argument("--arms", nargs="*", default=ARMS, choices=ARMS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--limit", type=int, default=3000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=output, required=True)
    options = parser.parse_args()
    recipe = Recipe(limit=options.limit, epochs=options.epochs, labels=min(1000, options.limit))
    rows = [json.loads(line) for line in options.out.read_text().splitlines()] if options.out.exists() else []
    rows_by_key = {
        json.dumps([row[k] for k in ("arm", "data", "exposure", "asked", "seed", "recipe")]) for row in rows
    }
    wanted = [
        (arm, *(text.split("=") if "=" in text else (text, "clean")), options.policy, recipe, seed)
        for seed in range(options.seeds) for text in options.data for arm in options.arms
    ]  # fmt: skip
    missing = [
        w
        for w in wanted
        if json.dumps([w[0], Path(w[1]).name, *w[2:4], w[5], recipe.common()]) not in rows_by_key
    ]
    with ProcessPoolExecutor(options.jobs, multiprocessing.get_context("spawn"), start_worker) as pool:
        for future in as_completed([pool.submit(run, *w) for w in missing]):
            rows.append(future.result())
            with options.out.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
            print(
                json.dumps({k: v for k, v in rows[-1].items() if k not in ("recipe", "scores", "learned")}),
                flush=True,
            )
    print("\n".join(table([row for row in rows if row["recipe"] == recipe.common()])))


if __name__ == "__main__":
    main()
