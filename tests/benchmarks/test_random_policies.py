"""The policies that tests and the promise's benchmark draw: all that a policy may have is in them."""

from adaptaug.policy import Policy
from adaptaug.policy.ops import OPS
from adaptaug.policy.schema import Promise
from benchmarks.random_policies import random_policy

POLICIES = [random_policy(seed) for seed in range(200)]


def share(says) -> float:
    return sum(bool(says(policy)) for policy in POLICIES) / len(POLICIES)


def test_every_operation_and_setting_is_in_many():
    for name, op in OPS.items():
        assert 0.4 < share(lambda p, name=name: name in p) < 0.8
        for setting, (_, default, _) in op.settings.items():
            assert share(lambda p, n=name, s=setting, d=default: n in p and getattr(p[n], s) != d) > 0.4


def test_every_field_is_used():
    def entries(policy: Policy):
        return policy.operations.values()

    assert all(policy.guards for policy in POLICIES)
    assert share(lambda p: any(not e.guard for e in entries(p))) > 0.9
    assert share(lambda p: any(e.shape != (1.0, 1.0) for e in entries(p))) > 0.9
    assert share(lambda p: len([e for e in entries(p) if e.together == "a"]) > 1) > 0.4
    assert share(lambda p: p.pair.share) > 0.5
    assert share(lambda p: p.pair.second) > 0.3
    assert share(lambda p: p.pair.overlap) > 0.1
    assert share(lambda p: any(w.p for w in p.conditional.operations.values())) > 0.3
    assert share(lambda p: any(w.strength for w in p.conditional.operations.values())) > 0.3
    for name, field in Promise.model_fields.items():
        assert share(lambda p, n=name, d=field.default: getattr(p.promise, n) != d) > 0.15


def test_a_seed_is_a_policy_and_no_two_are_alike():
    assert random_policy(3) == POLICIES[3]
    assert len({policy.dumps() for policy in POLICIES}) == len(POLICIES)
