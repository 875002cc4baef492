"""One search by several processes on one database: they share the work, outlive each other and find the same policy."""

import multiprocessing
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

pytest.importorskip("optuna")
pytest.importorskip("lightly")

import optuna
from optuna.trial import TrialState

from adaptaug.cli import run
from adaptaug.encoders import networks
from adaptaug.errors import AdaptAugError
from adaptaug.learn import runner
from adaptaug.learn.arms import start_worker
from adaptaug.learn.search import Search
from adaptaug.learn.shared import Shared
from adaptaug.policy import Policy
from tests.learn.conftest import arguments, of_arguments, small
from tests.missing import missing
from tests.support.network import Light, light

pytestmark = pytest.mark.usefixtures("light_network", "no_study_file")

FORK = multiprocessing.get_context("fork")
INSTALL = "apt-get update && apt-get install -y postgresql"


# --- SQLite: what needs no server ---------------------------------------------------------------------------
@pytest.fixture(scope="module")
def study(digits, tmp_path_factory):
    """A finished study, its URL, and the policy that the command found with it."""
    folder = tmp_path_factory.mktemp("shared")
    url = f"sqlite:///{folder}/jobs.db"
    with light():
        assert run([*arguments(digits, folder / "policy.yaml"), "--storage", url, "--study", "digits"]) == 0
    return url, folder / "policy.yaml"


def test_a_shared_search_finds_the_policy_of_a_lone_one(study, searched):
    assert study[1].read_text() == searched.read_text()


def test_a_late_machine_takes_all_from_the_study(study, digits, tmp_path):
    search = Search(
        of_arguments(digits),
        "simclr",
        tmp_path,
        budget=6,
        workers=0,
        shared=Shared(study[0], "digits"),
    )
    search._runner._train = None  # whatever called it would fail
    warm = tmp_path / "arms" / "warm-up.npz"
    warm.parent.mkdir(parents=True)
    shutil.copy(study[1].with_suffix(".search") / "arms" / "warm-up.npz", warm)
    assert search.run().policy == Policy.load(study[1])


def test_other_settings_in_the_study_are_refused(study, digits, tmp_path):
    with pytest.raises(AdaptAugError, match="study digits: holds a search with other settings"):
        Search(small(digits, 4), "simclr", tmp_path, budget=6, workers=0, shared=Shared(study[0], "digits"))


def test_a_study_of_another_program_is_refused(digits, tmp_path):
    url = f"sqlite:///{tmp_path}/other.db"
    optuna.create_study(study_name="other", storage=url).add_trial(optuna.trial.create_trial(value=1.0))
    with pytest.raises(AdaptAugError, match="another program"):
        Search(small(digits), "simclr", tmp_path, budget=6, workers=0, shared=Shared(url, "other"))


def test_storage_and_study_go_together(digits, tmp_path, capsys):
    assert run([*arguments(digits, tmp_path / "p.yaml"), "--study", "digits"]) == 2
    assert "together" in capsys.readouterr().err


@pytest.mark.parametrize(
    "url", ["postgresql://me:sesame@127.0.0.1:1/none", "me:sesame", "oracle://me:sesame@h/d"]
)
def test_an_error_does_not_tell_the_password(digits, tmp_path, capsys, url):
    assert run([*arguments(digits, tmp_path / "p.yaml"), "--storage", url, "--study", "digits"]) == 2
    told = capsys.readouterr().err
    assert "--storage" in told and "sesame" not in told


def test_a_job_that_was_claimed_and_never_begun_is_given_to_another(tmp_path, digits, study, monkeypatch):
    """A machine that dies between claiming a job and its first heartbeat leaves a trial that Optuna never fails."""
    url = f"sqlite:///{tmp_path}/jobs.db"
    shared = Shared(url, "digits", heartbeat=1)
    search = Search(small(digits), "simclr", tmp_path / "s", budget=6, workers=0, shared=shared)
    dead = optuna.load_study(study_name="digits", storage=url)
    dead.enqueue_trial({}, user_attrs={"job": "x"})
    dead.ask()
    job = search.work.job("x", search.start, 1)
    done = list(shared.carry_out([job], search._runner._train, 0))
    assert done == ["x"]
    assert [t.state for t in dead.trials if t.user_attrs.get("job") == "x"] == [
        TrialState.FAIL,
        TrialState.COMPLETE,
    ]


@pytest.mark.parametrize("moment", ["begin", "end"])
def test_a_job_that_another_finished_meanwhile_is_left_to_it(tmp_path, monkeypatch, moment):
    """Two may take one at once, as SQLite locks no rows: the second finds it finished, at its begin or at its end."""
    url = f"sqlite:///{tmp_path}/jobs.db"
    shared = Shared(url, "s")
    shared._study.enqueue_trial({}, user_attrs={"job": "x"})
    said = optuna.Trial.set_user_attr

    def finish(trial, *given):
        if moment == "end":
            said(trial, *given)
        optuna.load_study(study_name="s", storage=url).tell(trial.number, state=TrialState.PRUNED)
        if moment == "begin":
            said(trial, *given)

    monkeypatch.setattr(optuna.Trial, "set_user_attr", finish)
    shared._work({}, None)
    assert [trial.state for trial in shared._study.trials] == [TrialState.PRUNED]


# --- PostgreSQL: several processes --------------------------------------------------------------------------
def _postgres_programs():
    """The folder of initdb and pg_ctl; installed in CI where this may be done."""

    def found():
        return sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")) or [
            Path(p) for p in [shutil.which("pg_ctl")] if p
        ]

    if not found() and os.geteuid() == 0 and os.environ.get("CI") == "true" and shutil.which("apt-get"):
        subprocess.run(INSTALL, shell=True, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    if not found():
        missing(f"PostgreSQL is not installed: {INSTALL}")
    return found()[-1].parent


@pytest.fixture(scope="module")
def postgres():
    """A PostgreSQL of its own on a socket, with a password, run by a user who is not root: its URL."""
    pytest.importorskip("psycopg")
    programs, password = _postgres_programs(), secrets.token_hex(8)
    folder = Path(tempfile.mkdtemp(prefix="adaptaug-pg-", dir="/tmp"))  # a socket's path is short
    (folder / "password").write_text(password)
    as_other = ["runuser", "-u", "nobody", "--"] if os.geteuid() == 0 else []
    if as_other:
        for path in (folder, folder / "password"):
            shutil.chown(path, "nobody")

    def pg(program, *options):
        command = [*as_other, str(programs / program), "-D", str(folder / "data"), *options]
        subprocess.run(command, check=True, capture_output=True, cwd=folder, timeout=60)

    try:
        pg("initdb", "-U", "learner", "-A", "scram-sha-256", f"--pwfile={folder}/password", "--no-sync")
        settings = f"-c listen_addresses='' -c fsync=off -k {folder}"
        pg("pg_ctl", "-w", "-l", str(folder / "log"), "-o", settings, "start")
        yield f"postgresql://learner:{password}@/postgres?host={folder}"
        pg("pg_ctl", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def start_light_worker(recipe):
    """What a pool's process begins with: it is spawned, and knows of no network but the true one."""
    networks._tiny = Light
    start_worker(recipe)


def search_together(url, digits, folder, workers, before):
    """One of the machines; what it says goes into a file. `before(job)` is called before each that it trains."""
    with (folder / "told.txt").open("w") as told:
        os.dup2(told.fileno(), 1)
        os.dup2(told.fileno(), 2)
    train = runner.Runner._train
    runner.Runner._train = lambda self, job: (before(job), train(self, job))[1]
    runner.start_worker = start_light_worker
    shared = Shared(url, "digits", heartbeat=1)
    search = Search(of_arguments(digits), "simclr", folder, budget=6, workers=workers, shared=shared)
    search.run().policy.save(folder / "policy.yaml")


def _start(url, digits, folder, workers, before):
    folder.mkdir()
    process = FORK.Process(target=search_together, args=(url, digits, folder, workers, before))
    process.start()
    return process


def test_one_of_two_processes_is_killed_and_the_other_ends_with_the_same_policy(
    postgres, digits, searched, tmp_path
):
    """The victim never comes to the end of its second job, and the other begins when it is at that."""
    second, begun = FORK.Event(), []

    def stay(job):
        begun.append(job)
        if len(begun) == 2:
            second.set()
            time.sleep(1000)

    victim = _start(postgres, digits, tmp_path / "victim", 1, stay)
    other = _start(postgres, digits, tmp_path / "other", 0, lambda job: second.wait(240))
    shared = Shared(postgres, "digits")

    def in_hand():
        """Jobs that the victim has begun, once both processes have done some."""
        trials = [t for t in shared._study.get_trials() if "by" in t.user_attrs]
        done = {t.user_attrs["by"].split(":")[1] for t in trials if t.state == TrialState.COMPLETE}
        mine = [t for t in trials if t.user_attrs["by"].endswith(f":{victim.pid}")]
        runner = [t.user_attrs["job"] for t in mine if t.state == TrialState.RUNNING]
        return runner if done == {str(victim.pid), str(other.pid)} else []

    try:
        deadline = time.monotonic() + 240
        while not (left := in_hand()) and victim.is_alive() and time.monotonic() < deadline:
            time.sleep(0.02)
        victim.kill()
        other.join(240)
    finally:
        victim.kill()
        other.kill()
    told = (tmp_path / "other" / "told.txt").read_text()
    assert other.exitcode == 0, told
    assert (tmp_path / "other" / "policy.yaml").read_text() == searched.read_text()
    assert not (tmp_path / "victim" / "policy.yaml").exists()
    doers = {t.user_attrs["job"]: t for t in shared._study.trials if t.state == TrialState.COMPLETE}
    assert left and all(doers[job].user_attrs["by"].endswith(f":{other.pid}") for job in left)
    password = postgres.split(":")[2].split("@")[0]
    written = [f for f in tmp_path.rglob("*") if f.is_file() and password.encode() in f.read_bytes()]
    assert written == [] and password not in told
