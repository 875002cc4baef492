"""Sizes at which every part runs on two slow cores in seconds: that it runs, not how fast."""

from benchmarks.gpu import steps, throughput, training
from benchmarks.protocol import Recipe

THROUGHPUT = throughput.Sizes(
    batches=((4, 32), (2, 96)), compiled=((4, 32),), rounds=1, seconds=0.0, sets=2, copied=1 << 16, backend="eager",
    policy="simclr-cifar",
)  # fmt: skip
STEPS = steps.Sizes(steps=(("resnet-tiny", 32, 4),), alike=((8, 32), (2, 96)), rounds=1, seconds=0.0)
TRAINING = training.Sizes(
    archs=("resnet-tiny",), recipe=Recipe(limit=24, epochs=2, batch=8, held_out=0), limit=24, epochs=2, least=1,
    judging=1.0, timed=1,
)  # fmt: skip
