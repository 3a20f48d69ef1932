"""From what a recipe says of executors to who carries tiles out."""

from __future__ import annotations

import re
import shlex

import dask
import pytest

from stsfusion.errors import PlanError, RecipeError
from stsfusion.pipeline.executing import executor_of, job_script
from stsfusion.pipeline.recipe import load_recipe
from stsfusion.pipeline.worksections import Fuse
from stsfusion.running.cuda import Cuda
from stsfusion.running.executor import Address, Inline, Local
from stsfusion.running.slurm import Jobs, Slurm

RECIPE = "cubes: {rich: a.zarr}\nfuse:\n  method: bicubic\n"


def fuse(**said):
    return Fuse(method="bicubic", wall=7.0, **said)


def test_each_executor_is_made_as_the_recipe_says(tmp_path):
    told = []
    assert executor_of(fuse(executor="inline")) == Inline(limit=7.0)
    local = executor_of(fuse(executor="local", workers=3, budget="2 GB"))
    assert (type(local), local.workers, local.memory, local.limit) == (Local, 3, 2_000_000_000, 7.0)
    assert isinstance(executor_of(fuse(executor="array")), Local), "what workers left is done here"
    cuda = executor_of(fuse(executor="cuda"))
    assert (type(cuda), cuda.limit, cuda.memory) == (Cuda, 7.0, "auto")
    address = executor_of(fuse(executor="address", address="tcp://a:1", patience=5), tell=told.append)
    assert (type(address), address.url, address.patience) == (Address, "tcp://a:1", 5)
    address.tell("here")
    assert told == ["here"]
    asked = {"jobs": 3, "partition": "cpu", "walltime": "1-02:00:00", "directives": ["--qos=high"]}
    slurm = executor_of(fuse(executor="slurm", slurm=asked), tmp_path)
    assert isinstance(slurm, Slurm)
    assert slurm.jobs == Jobs(jobs=3, partition="cpu", walltime="1-02:00:00", directives=("--qos=high",))
    assert slurm.logs == tmp_path


def test_a_job_lasts_as_long_as_its_longest_tile_may(tmp_path):
    assert "#SBATCH -t 00:11:00" in job_script(fuse(executor="slurm"), tmp_path)
    long = Fuse(method="bicubic", wall=90_000.0, executor="slurm")
    assert "#SBATCH -t 25:10:00" in job_script(long, tmp_path)
    assert "#SBATCH -t 5" in job_script(fuse(executor="slurm", slurm={"walltime": "5"}), tmp_path)
    with dask.config.set({"jobqueue.slurm.walltime": "03:00:00"}):
        assert "#SBATCH -t 03:00:00" in job_script(fuse(executor="slurm"), tmp_path)


def test_an_address_must_be_said():
    with pytest.raises(PlanError, match=r"(?s)executor 'address'.*address:"):
        executor_of(fuse(executor="address"))


def test_a_worker_in_a_job_has_its_share_of_the_memory():
    asked = {"memory": "8 GB", "processes": 4}
    assert fuse(executor="slurm", slurm=asked).budget_bytes() == 2_000_000_000
    assert fuse(executor="slurm", slurm=asked, budget="1 GB").budget_bytes() == 1_000_000_000
    assert fuse(executor="local", slurm=asked).budget_bytes() is None


def arguments(directive):
    """What sbatch makes of a line: a backslash takes the next letter as it is, quotes hold blanks."""
    lexer = shlex.shlex(directive.removeprefix("#SBATCH "), posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters, lexer.escapedquotes = True, "#", "\"'"
    return list(lexer)


@pytest.mark.parametrize(
    "name", ["plain", "a b  c", "100 % of it", 'say "so"', "it's", "äö ü – 北京", "a#b", "%j"]
)
def test_jobs_write_their_logs_wherever_the_output_is(tmp_path, name):
    (line,) = [
        line for line in job_script(fuse(executor="slurm"), tmp_path / name).splitlines() if "output" in line
    ]
    (said,) = arguments(line)
    assert said.startswith("--output=")
    assert re.sub("%(.)", lambda found: {"%": "%", "x": "NAME", "j": "7"}[found[1]], said[9:]) == str(
        tmp_path / name / "NAME-7.log"
    )


def test_only_executors_that_submit_jobs_have_a_script(tmp_path):
    assert "#SBATCH -p" not in job_script(fuse(executor="slurm"), tmp_path)
    assert "#SBATCH -p cpu" in job_script(fuse(executor="slurm", slurm={"partition": "cpu"}), tmp_path)
    with pytest.raises(PlanError, match=r"(?s)executor 'local'.*--executor slurm"):
        job_script(fuse(executor="local"), tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("slurm: {walltime: forever}", "pattern"),
        ("slurm: {memory: 8}", "string"),
        ("slurm: {jobs: 0}", "greater than or equal to 1"),
        ("slurm: {processes: many}", "integer"),
        ('slurm: {directives: ["a\\nb"]}', "one line of text"),
        ("slurm: {queue: cpu}", "known key"),
        ("worker: 4/3", "I/N with I from 1 to N, such as 2/3, or 'prepare'"),
        ("patience: -1", "greater than or equal to 0"),
    ],
)
def test_wrong_words_are_told_with_their_line(tmp_path, text, expected):
    file = tmp_path / "mine.yaml"
    file.write_text(f"{RECIPE}  {text}\n")
    with pytest.raises(RecipeError, match=r"mine\.yaml, line 4: fuse") as caught:
        load_recipe(file)
    assert expected in str(caught.value)


@pytest.mark.parametrize("walltime", ["30", "30:00", "02:00:00", "2-00", "1-12:30", "1-12:30:15"])
def test_times_as_slurm_writes_them(walltime):
    assert fuse(slurm={"walltime": walltime}).slurm.walltime == walltime


def test_who_computes_does_not_change_what_is_made(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(RECIPE)
    digests = {
        load_recipe(file, said)[0].result_digest
        for said in (
            (),
            ("fuse.executor=slurm", "fuse.slurm.jobs=9", "fuse.slurm.partition=x"),
            ("fuse.executor=array", "fuse.worker=2/3", "fuse.patience=1"),
            ("fuse.executor=cuda", "fuse.workers=7"),
        )
    }
    assert len(digests) == 1
    assert load_recipe(file, ("fuse.tile=96",))[0].result_digest not in digests
